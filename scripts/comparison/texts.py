"""Texts that are made up, always the same ones, and what is in them, as Python counts it."""
from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import random
import shutil
from pathlib import Path
from typing import Callable, Iterator

from faultlab.failure import Failure

MIB = 1 << 20
BLOCKS = 8
"""A text of any length is made of so many different MiB, again and again."""

ENGLISH = """
the of and to a in that it is was I for on you he be with as by at have are not this but had they his from she which or
we an there were one do been all their has would will what if can when so no said who more about up them some could him
into its then two out time like my only did other than now people these over such after very even much down being back
still just little through where before must well should because each long those way good any make great same own number
between night think again under last house world system water place against without during another however important
government development Queen Zealand exactly jackpot quiz rhythm subject knowledge everything particularly 1789 2024 42
""".split()

LATIN = """
und die der größere Straße für nicht schön ähnlich Übung über müssen während Datei öffnen gelöscht ungültige Schlüssel
le été où français même garçon élève déjà naïve œuvre fenêtre à supprimé répertoire entrée écrire paramètre invalide
bir için değil güneş çocuk İstanbul ışık büyük öğrenci şehir dosya geçersiz seçenek açılamadı sürüm kullanıcı
""".split()

GREEK = """
και το της να είναι αρχείο δεν μπορεί για με την από στο επιλογή μη έγκυρη όνομα Ελλάδα άνθρωπος ελεύθεροι ίσοι όλοι
""".split()

RUSSIAN = """
и в не на что это как для файл нельзя открыть ошибка все люди рождаются свободными равными своём достоинстве правах ещё
""".split()

KANA = "のはをにがでとしたてるいなれかさりっすまもこあらけくそんどばじファイルエラーオプションデータ"
IDEOGRAPHS = [chr(0x4E00 + 7 * number) for number in range(2500)]


@dataclasses.dataclass
class Content:
    """What a text has. It can be added up, because every block ends with its line."""

    letters: collections.Counter[str]
    size: int
    chars: int
    lines: int
    words: int

    @classmethod
    def of(cls, text: str) -> Content:
        letters: collections.Counter[str] = collections.Counter()
        for char, count in collections.Counter(text).items():
            for letter in filter(str.isalpha, char.upper()):
                letters[letter] += count
        return cls(letters, len(text.encode()), len(text), text.count("\n"), len(text.split()))

    def __add__(self, other: Content) -> Content:
        sums = (getattr(self, name) + getattr(other, name) for name in ("size", "chars", "lines", "words"))
        return Content(self.letters + other.letters, *sums)


@dataclasses.dataclass(frozen=True)
class Text:
    path: Path
    content: Content


def zipf(draw: random.Random, symbols: list[str], count: int) -> list[str]:
    """As in any language, the second is half as frequent as the first."""
    return draw.choices(symbols, [1 / (rank + 2) for rank in range(len(symbols))], k=count)


def sentence(draw: random.Random, words: list[str]) -> str:
    chosen = zipf(draw, words, draw.randint(6, 14))
    return chosen[0][:1].upper() + ", ".join(" ".join(part) for part in (chosen[:5], chosen[5:]))[1:] + "."


def east_asian(draw: random.Random, kana: float) -> str:
    count = draw.randint(10, 25)
    pairs = zip(zipf(draw, IDEOGRAPHS, count), draw.choices(KANA, k=count))
    return "".join(syllable if draw.random() < kana else sign for sign, syllable in pairs) + "。"


def english(draw: random.Random) -> Iterator[str]:
    while True:
        yield sentence(draw, ENGLISH)


def mixed(draw: random.Random) -> Iterator[str]:
    """A catalogue of translations, half of whose bytes are not ASCII: a line of English, then one of another language."""
    while True:
        for words in (LATIN, GREEK, RUSSIAN):
            yield sentence(draw, ENGLISH)
            yield sentence(draw, words)
        for kana in (0.6, 0.0):
            yield sentence(draw, ENGLISH)
            yield east_asian(draw, kana)


def block(lines: Iterator[str], size: int = MIB) -> str:
    """Lines of `size` bytes in all; empty ones fill what is left."""
    chosen, left = [], size
    for line in lines:
        left -= len(line.encode()) + 1
        if left < 0:
            return "".join(chosen) + "\n" * (left + len(line.encode()) + 1)
        chosen.append(line + "\n")
    raise AssertionError("lines never end")


class Corpus:
    """Texts of one kind, in files of `directory` that are made when they are asked for."""

    def __init__(self, name: str, lines: Callable[[random.Random], Iterator[str]], directory: Path):
        self._name, self._lines, self._directory = name, lines, directory
        self._blocks: list[str] = []
        self._contents: list[Content] = []
        self._texts: dict[int, Text] = {}

    def text(self, mebibytes: int) -> Text:
        if mebibytes not in self._texts:
            self._prepare()
            data = itertools.islice(itertools.cycle([each.encode() for each in self._blocks]), mebibytes)
            path = self._write(f"{mebibytes}-mib", mebibytes * MIB, data)
            self._texts[mebibytes] = Text(path, self._content(mebibytes))
        return self._texts[mebibytes]

    def small(self, size: int) -> Text:
        """The first bytes; only of ASCII can any number be had."""
        if -size not in self._texts:
            self._prepare()
            part = self._blocks[0][:size]
            self._texts[-size] = Text(self._write(f"{size}-bytes", size, iter([part.encode()])), Content.of(part))
        return self._texts[-size]

    def _prepare(self) -> None:
        if not self._blocks:
            lines = self._lines(random.Random(1))
            self._blocks = [block(lines) for _ in range(BLOCKS)]
            self._contents = [Content.of(each) for each in self._blocks]

    def _content(self, mebibytes: int) -> Content:
        total = Content(collections.Counter(), 0, 0, 0, 0)
        for number in range(mebibytes):
            total += self._contents[number % BLOCKS]
        return total

    def _write(self, name: str, size: int, data: Iterator[bytes]) -> Path:
        """On the disk when it comes back, so that no writing disturbs what is measured; and in the page cache."""
        free = shutil.disk_usage(self._directory).free
        if free < size + 256 * MIB:
            raise Failure(f"{self._directory} has {free / MIB:.0f} MiB free, and {size / MIB:.0f} and a reserve are needed")
        path = self._directory / f"{self._name}-{name}.txt"
        with open(path, "wb") as file:
            for each in data:
                file.write(each)
            file.flush()
            os.fsync(file.fileno())
        return path
