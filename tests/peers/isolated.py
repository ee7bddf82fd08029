"""isolated.py - a function in a process of its own, for samples.py and operators_random.py: some peers crash on some models, or never end, and that must cost one
model and not the run. Which function, and what an answer means, it does not know."""
import concurrent.futures


class Lost(Exception):
    """There is no answer: the text says why."""


class Isolated:
    """One process that computes; after a crash or a call longer than `seconds` the next call gets a new one."""

    def __init__(self, function, seconds):
        self.function, self.seconds, self.pool = function, seconds, None

    def close(self):
        if self.pool is not None:
            for process in list((self.pool._processes or {}).values()):
                process.kill()
            self.pool.shutdown()
            self.pool = None

    def __call__(self, *arguments):
        if self.pool is None:
            self.pool = concurrent.futures.ProcessPoolExecutor(1)
        try:
            return self.pool.submit(self.function, *arguments).result(timeout=self.seconds)
        except (concurrent.futures.process.BrokenProcessPool, TimeoutError) as e:
            self.close()
            raise Lost("it crashes" if not isinstance(e, TimeoutError) else "it does not end") from e
