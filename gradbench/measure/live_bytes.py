"""Peak memory on a CPU to the byte: live storages, counted as operations make them and as they die.

The results of every dispatched operation are counted, but not what one kernel allocates and frees inside itself. Runs
of the same code give the same bytes, with any number of threads, and so does a run under FakeTensorMode.
"""

import gc
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts bytes of live storages inside `with`.

    held: tensors that exist beforehand (inputs, parameters); their storages are the `baseline`. live, peak: bytes now
    and at most, the baseline included.
    """

    def __init__(self, held: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self.live = self.peak = 0
        for tensor in held:
            self._track(tensor)
        self.baseline = self.live

    def __enter__(self) -> "LiveBytes":
        gc.collect()
        self._collecting = gc.isenabled()
        gc.disable()  # so that the moment of freeing a cycle does not depend on earlier code
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self._collecting:
            gc.enable()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No compiler ever needs to be kept out here; asking at every operation would take as long as counting."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation and counts the storages of its results."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._track(leaf)
        return result

    def _track(self, tensor: Tensor) -> None:
        if tensor.layout is not torch.strided or tensor.device.type == "meta" or tensor._is_zerotensor():
            return
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._storages:
            return
        size = storage.nbytes()

        def forget(_: Any) -> None:
            self._storages.pop(key, None)
            self.live -= size

        self._storages[key] = weakref.ref(storage, forget)
        self.live += size
        self.peak = max(self.peak, self.live)
