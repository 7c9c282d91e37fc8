"""Worker processes that write training batches.

Every worker has a pipe of its own and blocks on it with a finished batch, so as many batches as workers lie ready. (One shared
multiprocessing.Queue is no substitute: its writer threads fight with the generating threads for each worker's interpreter
lock while they hold the queue's, which capped it at 0.6 M tokens a second.)
"""

import fcntl
import multiprocessing
import random

import numpy as np

from data import generator

LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_F_SETPIPE_SZ = 1031  # Linux; fcntl names it from Python 3.10 on
_DTYPES = (np.int16, np.int8, np.int32)  # tokens, loss classes, positions


def _work(library, seed, mix, tokens_per_batch, pipe):
    rng = random.Random(seed)
    while True:
        length = rng.choices(LENGTHS, mix[:])[0]
        sequences = [generator.make_sequence(library, rng, length) for _ in range(tokens_per_batch // length)]
        arrays = ([s.tokens for s in sequences], [s.weights for s in sequences], [s.positions for s in sequences])
        pipe.send_bytes(b"".join(np.stack(a).astype(dtype).tobytes() for a, dtype in zip(arrays, _DTYPES)) + length.to_bytes(4, "little"))


class Feeder:
    """Start before CUDA is initialised: the workers are forks. mix: {length: share of the batches}."""

    def __init__(self, library, seed, workers, tokens_per_batch, mix):
        context = multiprocessing.get_context("fork")
        self._mix = context.Array("d", len(LENGTHS))
        self._tokens = tokens_per_batch
        self._turn = 0
        self.set_mix(mix)
        self._pipes, self.processes = [], []
        for i in range(workers):
            receive, send = context.Pipe(duplex=False)
            fcntl.fcntl(send.fileno(), _F_SETPIPE_SZ, 1 << 20)  # room for a whole batch
            process = context.Process(target=_work, args=(library, seed * 1000 + i, self._mix, tokens_per_batch, send), daemon=True)
            process.start()
            send.close()
            self._pipes.append(receive)
            self.processes.append(process)

    def set_mix(self, mix):
        """For the batches to come; one a worker is already written."""
        self._mix[:] = [float(mix.get(length, 0.0)) for length in LENGTHS]

    def next(self):
        """Tokens, loss classes, positions, each [B, T] with B * T = tokens_per_batch; the workers take turns."""
        data = self._pipes[self._turn].recv_bytes()
        self._turn = (self._turn + 1) % len(self._pipes)
        length, arrays, at = int.from_bytes(data[-4:], "little"), [], 0
        for dtype in _DTYPES:
            arrays.append(np.frombuffer(data, dtype, self._tokens, at).reshape(-1, length).copy())
            at += arrays[-1].nbytes
        return arrays

    def ready(self):
        """How many workers wait with a finished batch."""
        return sum(p.poll() for p in self._pipes)

    def stop(self):
        for process in self.processes:
            process.terminate()
