"""Does what deploy/Containerfile says in an empty folder that stands for the image's root, and starts roles in it.

`python -m tests.deploy.image` runs every step as it is written, with what must be downloaded. No daemon is needed: what
is not tried is the base image, the union of layers, and how a runtime reads the file.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NOBODY = "65532"


@dataclass
class Stage:
    """One FROM and what follows it."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, word: str) -> str:
        """What the last instruction of a name says."""
        return [text for name, text in self.steps if name == word][-1]

    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        words = [word for name, text in self.steps if name == "ENV" for word in shlex.split(text)]
        return dict(word.split("=", 1) for word in words)


def stages() -> list[Stage]:
    """The Containerfile, instruction by instruction. Raises `ValueError` for a line that is none."""
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/Containerfile").read_text("utf-8"), flags=re.M)
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(name, base))
        elif re.fullmatch(r"WORKDIR|RUN|COPY|ENV|VOLUME|USER|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT|CMD", word):
            found[-1].steps.append((word, rest.strip()))
        else:
            raise ValueError(f"this is no instruction that the tests know: {line}")
    return found


class Image:
    """A folder that stands for the root of the image. `download` false: packages come from this environment."""

    def __init__(self, folder: Path, download: bool) -> None:
        self.folder = folder
        self.download = download
        self.build, self.final = stages()
        self.workdir = folder
        # This machine's Python may be where only root may look, as a container's is not: it is mounted into the root.
        self.python = folder / "python/bin" if os.geteuid() == 0 else Path(sys.base_prefix, "bin")
        if os.geteuid() == 0:
            self.python.parent.mkdir()

    def _within(self, mounts: list[str], *words: str) -> list[str]:
        """A command that sees these mounts."""
        if os.geteuid() != 0:
            return list(words)
        base = f"mount --bind {shlex.quote(sys.base_prefix)} {shlex.quote(str(self.python.parent))}"
        script = " && ".join([*mounts, base, 'exec "$@"'])
        return ["unshare", "--mount", "sh", "-c", script, "sh", *words]

    def inside(self, text: str) -> str:
        """A text whose absolute paths of the image lead into the folder."""
        return re.sub(r"(?<![\w.])/(?=opt/|build\b|var/)", f"{self.folder}/", text)

    def make(self) -> None:
        """Run the first stage; the second only takes over what it made. Raises `CalledProcessError`."""
        for word, text in self.build.steps:
            if word == "WORKDIR":
                self.workdir = Path(self.inside(text))
                self.workdir.mkdir(parents=True)
            elif word == "COPY":
                self._copy(text.split())
            else:
                assert word == "RUN", word
                self._run(text)
        for word, text in self.final.steps:
            assert word != "RUN"
            if word == "COPY":
                assert text.split()[0] == "--from=build"
                assert Path(self.inside(text.split()[1])).is_dir()
        shutil.rmtree(self.workdir)
        self.data.mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.data, int(NOBODY), int(NOBODY))

    @property
    def data(self) -> Path:
        """The one folder that can be written to."""
        return Path(self.inside(self.final.environment()["YB_DATA_DIR"]))

    def _copy(self, words: list[str]) -> None:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        allowed = (ROOT / "deploy/Containerfile.dockerignore").read_text("utf-8").splitlines()
        for name in words[:-1]:
            assert f"!{name}" in allowed, f"{name} is not let into the image's context"
            target = self.workdir / words[-1]
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=ignored)
            else:
                shutil.copy(ROOT / name, target / name)

    def _run(self, text: str) -> None:
        if "--require-hashes" in text and not self.download:
            self._bring()
            return
        environment = {k: v for k, v in os.environ.items() if not k.startswith("YB_")}
        environment["PATH"] = f"{self.python}{os.pathsep}{environment['PATH']}"
        command = self._within([], "/bin/sh", "-c", self.inside(text))
        subprocess.run(command, cwd=self.workdir, env=environment, check=True, capture_output=True)

    def _bring(self) -> None:
        """Copy what the lock names from this environment, where it was installed from the same lock."""
        [target] = self.folder.glob("opt/yellowbooks/lib/python3.*/site-packages")
        names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.M)
        own = Path(site.getsitepackages()[0])
        for name in names:
            for older in target.glob(f"{name}-*.dist-info"):  # venv brought it
                shutil.rmtree(older)
            with contextlib.suppress(metadata.PackageNotFoundError):  # of another platform
                for one in metadata.files(name) or ():
                    source = own / one
                    if ".." not in one.parts and source.is_file():
                        (target / one).parent.mkdir(parents=True, exist_ok=True)
                        _link(source, target / one)

    def command(self, *words: str) -> list[str]:
        """The entry point with these words, as the image's user; as root nobody could write to the folder either."""
        entry = json.loads(self.final.last("ENTRYPOINT"))
        line = [str(self.folder / "opt/yellowbooks/bin" / entry[0]), *words]
        if os.geteuid() != 0:
            return line
        where, data = shlex.quote(str(self.folder)), shlex.quote(str(self.data))
        sealed = [f"mount --bind {where} {where}", f"mount --bind {data} {data}", f"mount -o remount,bind,ro {where}"]
        user = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
        return self._within(sealed, "setpriv", *user, *line)

    def environment(self, **settings: str) -> dict[str, str]:
        """What ENV sets, and further settings; nothing of this process."""
        own = {name: self.inside(text) for name, text in self.final.environment().items()}
        own["PATH"] = own["PATH"].replace("$PATH", os.environ["PATH"])
        # A Python whose library lies beside it looks for it where it was built, which only root may see.
        library = {"LD_LIBRARY_PATH": str(self.python.parent / "lib")} if os.geteuid() == 0 else {}
        return {"HOME": "/nonexistent", "LANG": "C.UTF-8", **library, **own, **settings}

    def healthy(self, port: str, environment: dict[str, str]) -> bool:
        """What HEALTHCHECK says, on another port."""
        words = json.loads(self.final.last("HEALTHCHECK").partition(" CMD ")[2])
        words = [word.replace("3333", port) for word in words]
        command = [*self.command()[:-1], str(self.folder / "opt/yellowbooks/bin" / words[0]), *words[1:]]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def size(self) -> int:
        """Bytes that the image adds to its base."""
        return sum(path.lstat().st_size for path in (self.folder / "opt").rglob("*") if not path.is_dir())


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        shutil.copy(source, target)


@contextlib.contextmanager
def made(download: bool) -> Iterator[Image]:
    """An image in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    folder.chmod(0o755)
    try:
        image = Image(folder, download)
        image.make()
        yield image
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Every step as it is written; prints how long it took and how large it is."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    began = time.monotonic()
    with made(download=True) as image:
        took = time.monotonic() - began
        shown: Any = subprocess.run(
            image.command("--version"), env=image.environment(), check=True, capture_output=True, text=True
        ).stdout.strip()
        print(f"{shown}: built in {took:.0f} s, {image.size() / 1e6:.0f} MB over its base")


if __name__ == "__main__":
    main()
