"""Classes of a test brought into another process: pickled, with the files of the modules that they come from."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import io
import pickle
import sys
from pathlib import Path
from typing import Any, Final

MAIN: Final = "__main__"
BROUGHT: Final = "tickweave_main"
"""The name of a main script in another process."""


class _Pickler(pickle.Pickler):
    """Notes the modules of the objects that it pickles."""

    def __init__(self, sink: io.BytesIO) -> None:
        super().__init__(sink)
        self.modules: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        self.modules.add(str(getattr(value, "__module__", "")))
        return NotImplemented


def packed(value: object) -> dict[str, Any]:
    """Return plain data from which `unpacked` makes the value in another process.

    Raises:
        ValueError: it cannot be pickled: it is or holds a class or function that was made inside a function, say.
    """
    if BROUGHT in sys.modules:  # the script of another process starts what started this process
        raise ValueError("the script runs its checks where it is imported; put them under `if __name__ == '__main__':`")
    sink = io.BytesIO()
    pickler = _Pickler(sink)
    try:
        pickler.dump(value)
    except Exception as error:  # pickle passes on every error of the value's own methods
        raise ValueError(f"{type(error).__name__}: {error}") from None
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in pickler.modules}
    return {
        "pickle": base64.b64encode(sink.getvalue()).decode("ascii"),
        "files": {name: str(Path(file).absolute()) for name, file in files.items() if file},
        "path": [part for part in sys.path if Path(part).is_absolute()],
    }


class _Unpickler(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, files: dict[str, str]) -> None:
        super().__init__(source)
        self._files = files
        self._loaded: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module not in self._loaded:
            self._loaded[module] = self._module(module)
        found = self._loaded[module]
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def _module(self, name: str) -> Any:
        """Import a module by its name, or else from its file."""
        if name != MAIN:
            if name in sys.modules:
                return sys.modules[name]
            try:
                return importlib.import_module(name)
            except ImportError:
                if name not in self._files:
                    raise
        spec = importlib.util.spec_from_file_location(BROUGHT if name == MAIN else name, self._files[name])
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


def unpacked(data: dict[str, Any]) -> Any:
    """Return the value of `packed`; folders on the other process's path for imports come last here."""
    sys.path += [part for part in data["path"] if part not in sys.path]
    return _Unpickler(io.BytesIO(base64.b64decode(data["pickle"])), data["files"]).load()
