"""Distributions that look installed: modules and their metadata in a directory on the path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent


def provider(name: str, target: str) -> str:
    """Return the source of a plugin that registers one index provider."""
    return f"""
        from atdata.hookspecs import hookimpl

        @hookimpl
        def register_index_providers(register):
            register({name!r}, {target!r})
    """


@dataclass(frozen=True)
class Site:
    """A directory that stands for site-packages."""

    path: Path

    def install(self, plugin: str, source: str, *, requires: str = "") -> None:
        """Install a distribution ``dist-x`` 1.0 with a module ``plugin_x`` as its plugin ``x``."""
        self.write_module(f"plugin_{plugin}", source)
        self.declare(f"dist-{plugin}", {plugin: f"plugin_{plugin}"}, requires=requires)

    def write_module(self, name: str, source: str) -> None:
        """Write a module, with its source dedented."""
        self.path.mkdir(exist_ok=True)
        (self.path / f"{name}.py").write_text(dedent(source), encoding="utf-8")

    def declare(
        self, distribution: str, entry_points: dict[str, str], *, requires: str = ""
    ) -> None:
        """Write the metadata of a distribution, version 1.0."""
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        if requires:
            metadata += f"Requires-Dist: {requires}\n"
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        self.write_metadata(distribution, metadata, "\n".join(["[atdata]", *lines]))

    def write_metadata(self, distribution: str, metadata: str, entry_points: str) -> None:
        """Write both files of a ``.dist-info`` directory as they are given."""
        directory = self.path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "METADATA").write_text(metadata, encoding="utf-8")
        (directory / "entry_points.txt").write_text(entry_points, encoding="utf-8")
