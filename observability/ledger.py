"""What each stage of a run last read and wrote, so that a stage whose inputs have not changed is not run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from observability.layout import LEDGER
from observability.store import Store


@dataclass
class Ledger:
    """Digests of inputs and outputs by stage, kept beside the artifacts."""

    store: Store
    entries: dict[str, object] = field(default_factory=dict)

    @classmethod
    def open(cls, store: Store) -> Ledger:
        """The ledger as it stands; one that cannot be read is begun anew, and then every stage runs."""
        try:
            entries = json.loads(store.read_bytes(LEDGER, "")) if store.exists(LEDGER) else {}
        except ValueError:
            entries = {}
        return cls(store, entries if isinstance(entries, dict) else {})

    def once(self, stage: str, inputs: str, outputs: Sequence[str], action: Callable[[], object]) -> bool:
        """Run the action, unless it ran with the same inputs and its outputs are as it left them. Whether it ran."""
        if self.entries.get(stage) == {"inputs": inputs, "outputs": self._digests(outputs)}:
            return False
        action()
        self.entries[stage] = {"inputs": inputs, "outputs": self._digests(outputs)}
        self.store.write_bytes(LEDGER, (json.dumps(self.entries, indent=2, sort_keys=True) + "\n").encode())
        return True

    def forget(self, stage: str) -> None:
        """Let the stage run again, whatever it read and wrote."""
        self.entries.pop(stage, None)

    def digest(self, keys: Sequence[str], *more: str) -> str:
        """One digest of the files' contents, those that are missing included, and of the texts."""
        return hashlib.sha256(json.dumps([self._digests(keys), more]).encode()).hexdigest()

    def _digests(self, keys: Sequence[str]) -> dict[str, str | None]:
        return {
            key: hashlib.sha256(self.store.read_bytes(key, "")).hexdigest() if self.store.exists(key) else None
            for key in keys
        }
