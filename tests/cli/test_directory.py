"""The demo's tools agree with find and grep, and show nothing that they must not."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import pytest

from lash_es.cli.directory import Directory, DirectoryUnusable, ToolRefused

HIDDEN = "what-must-stay-unseen"
BYTEWISE = {"LC_ALL": "C", "PATH": os.environ["PATH"]}


def run(folder: Path, *command: str) -> list[str]:
    done = subprocess.run(command, cwd=folder, env=BYTEWISE, capture_output=True, check=False)
    return done.stdout.decode(errors="replace").splitlines()


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    files: dict[str, str | bytes] = {
        "README.md": "# Garden\nplants grow\nPlants rest\n",
        "beds/north.txt": "plants\n\nmoss, plants and plants\n",
        "beds/deep/er/south.txt": "no newline at the end: plants",
        "beds/windows.txt": "plants\r\nmoss\r\n",
        "empty.txt": "",
        "photo.bin": b"plants\0\xff",
        "latin.txt": "plants of Köln".encode("latin-1"),
        "two  spaces  7 bytes": "plants\n",
    }
    return write(tmp_path / "garden", files)


def listed_files(listing: str) -> dict[str, int]:
    rows = [line.removesuffix("  binary") for line in listing.split("\n")]
    pairs = [row.removesuffix(" bytes").rsplit("  ", 1) for row in rows if row.endswith(" bytes")]
    return {path: int(size) for path, size in pairs}


def test_a_listing_holds_the_files_and_sizes_that_find_reports(garden: Path) -> None:
    found = run(garden, "find", ".", "-type", "f", "-printf", "%P\t%s\n")
    expected = {path: int(size) for path, size in (row.split("\t") for row in found)}
    assert listed_files(Directory.at(garden).list_files()) == expected


def test_a_listing_counts_what_find_counts(garden: Path) -> None:
    files = run(garden, "find", ".", "-type", "f")
    folders = run(garden, "find", ".", "-mindepth", "1", "-type", "d")
    heading = Directory.at(garden).list_files().split("\n")[0]
    assert heading == f"{len(files)} files and {len(folders)} folders in ."


def test_a_listing_of_a_folder_holds_only_what_is_below_it(garden: Path) -> None:
    assert Directory.at(garden).list_files("./beds/deep/").split("\n") == [
        "1 file and 1 folder in beds/deep",
        "by suffix: .txt 1",
        "beds/deep/er/",
        "beds/deep/er/south.txt  29 bytes",
    ]


def test_a_listing_marks_files_that_are_no_text(garden: Path) -> None:
    listing = Directory.at(garden).list_files()
    assert "photo.bin  8 bytes  binary" in listing
    assert "latin.txt  14 bytes\n" in listing


def test_a_listing_is_sorted_nearest_first_however_the_files_were_made(tmp_path: Path) -> None:
    names = ["z.txt", "a/z.txt", "m.txt", "b/a.txt", "a/b/c.txt"]
    one = write(tmp_path / "one", dict.fromkeys(names, "x"))
    two = write(tmp_path / "two", dict.fromkeys(reversed(names), "x"))
    listing = Directory.at(one).list_files()
    assert listing == Directory.at(two).list_files()
    assert list(listed_files(listing)) == ["m.txt", "z.txt", "a/z.txt", "b/a.txt", "a/b/c.txt"]


@pytest.mark.parametrize(
    "text", ["plants", "Plants", "moss", "of K", "ö", ".", "no such text", "n"]
)
def test_a_search_counts_the_lines_and_files_that_grep_counts(garden: Path, text: str) -> None:
    lines = run(garden, "grep", "-rFnI", "-e", text, ".")
    files = run(garden, "grep", "-rFlI", "-e", text, ".")
    heading = Directory.at(garden).search_text(text).split("\n")[0]
    found = [int(word) for word in heading.partition(" with ")[0].split() if word.isdigit()]
    assert found == [len(lines), len(files)]


def test_a_search_shows_the_numbered_lines_that_grep_shows(garden: Path) -> None:
    expected = run(garden, "grep", "-Fn", "plants", "beds/north.txt")
    result = Directory.at(garden).search_text("plants", "beds").split("\n")
    start = result.index("beds/north.txt, 2 lines")
    shown = [line.strip().replace(": ", ":", 1) for line in result[start + 1 : start + 3]]
    assert shown == expected


def test_a_search_takes_its_text_literally(tmp_path: Path) -> None:
    root = write(tmp_path, {"a.txt": "a.c\nabc\n-e\n"})
    assert Directory.at(root).search_text("a.c").startswith("1 line in 1 file")
    assert Directory.at(root).search_text("-e").startswith("1 line in 1 file")


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * 201, "\udcff"])
def test_a_search_for_what_no_line_can_be_asked_for_is_refused(garden: Path, text: str) -> None:
    with pytest.raises(ToolRefused, match="expected 1 to 200 characters of one line"):
        Directory.at(garden).search_text(text)


def test_a_file_is_read_with_line_numbers_and_windows_line_ends_are_dropped(garden: Path) -> None:
    assert Directory.at(garden).read_file("beds/windows.txt") == (
        "beds/windows.txt, lines 1 to 2 of 2\n1: plants\n2: moss"
    )


def test_a_long_file_is_cut_and_says_where_to_go_on(tmp_path: Path) -> None:
    root = write(tmp_path, {"long.txt": "".join(f"line {n}\n" for n in range(1, 501))})
    first = Directory.at(root).read_file("long.txt").split("\n")
    assert first[0] == "long.txt, lines 1 to 200 of 500"
    assert first[-1] == "... 300 more lines; go on with first_line=201"
    rest = Directory.at(root).read_file("long.txt", first_line=401).split("\n")
    assert rest[1] == "401: line 401"
    assert rest[-1] == "500: line 500"


def test_bytes_that_are_no_utf8_are_shown_escaped(garden: Path) -> None:
    assert Directory.at(garden).read_file("latin.txt").endswith("\n1: plants of K\\xf6ln")


def test_an_empty_file_is_read_as_no_lines(garden: Path) -> None:
    assert Directory.at(garden).read_file("empty.txt") == "empty.txt, lines 0 to 0 of 0"


@pytest.mark.parametrize("first_line", [0, -1, 4])
def test_a_line_that_a_file_does_not_have_is_refused(garden: Path, first_line: int) -> None:
    with pytest.raises(ToolRefused, match=f"no line {first_line}: it has 3 lines"):
        Directory.at(garden).read_file("README.md", first_line)


def test_more_bytes_than_the_limit_are_neither_read_nor_searched(tmp_path: Path) -> None:
    root = write(tmp_path, {"big.txt": "é" * 10 + "\nneedle\n"})
    directory = attrs.evolve(Directory.at(root), file_bytes_max=5)
    assert directory.read_file("big.txt").split("\n") == [
        "big.txt, lines 1 to 1 of at least 1",
        "1: éé\\xc3",
        "... the file goes on; only its first 5 bytes can be read",
    ]
    assert "skipped: 1 partly read file" in directory.search_text("needle")


def test_a_long_line_is_cut_around_what_was_found(tmp_path: Path) -> None:
    root = write(tmp_path, {"one.json": "a" * 1_000 + "needle" + "b" * 1_000})
    shown = Directory.at(root).search_text("needle").split("\n")[-1]
    assert "needle" in shown
    assert len(shown) < 300
    assert shown.endswith("more characters")


def test_a_long_listing_is_cut_but_names_the_largest_text_of_the_rest(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{n:02}.txt": "x" * n for n in range(1, 21)}
    root = write(tmp_path, files | {"99.bin": b"\0" * 99})
    listing = attrs.evolve(Directory.at(root), entries_shown_max=5).list_files().split("\n")
    assert listing[0] == "21 files and 0 folders in ."
    assert listing[7:] == [
        "... 16 more entries",
        "the largest text files among these:",
        *("20.txt  20 bytes", "19.txt  19 bytes", "18.txt  18 bytes"),
    ]


def test_a_walk_stops_at_its_limits_and_says_at_least(tmp_path: Path) -> None:
    root = write(tmp_path, {f"{n}.txt": "x" for n in range(9)} | {"a/b/c/d.txt": "x"})
    wide = attrs.evolve(Directory.at(root), entries_walked_max=4).list_files()
    assert wide.startswith("at least 4 files and 0 folders in .")
    deep = attrs.evolve(Directory.at(root), folder_depth_max=2)
    assert deep.list_files().startswith("at least 9 files and 3 folders in .")
    assert "skipped: 1 cut-off folder" in deep.search_text("x")
    with pytest.raises(ToolRefused, match="deeper than 2 folders"):
        deep.read_file("a/b/c/d.txt")


def test_a_search_shows_the_first_lines_and_files_and_counts_the_rest(tmp_path: Path) -> None:
    root = write(tmp_path, {f"{n}.txt": "x\n" * 9 for n in range(4)})
    directory = attrs.evolve(Directory.at(root), files_matched_max=1, lines_matched_per_file_max=2)
    assert directory.search_text("x").split("\n") == [
        '36 lines in 4 files with "x"',
        *("0.txt, 9 lines", "  1: x", "  2: x", "  ... 7 more lines"),
        "... 3 more files",
    ]


def test_a_search_says_which_files_its_limit_left_out(tmp_path: Path) -> None:
    root = write(tmp_path, {f"{n}.txt": "x\n" for n in range(4)})
    result = attrs.evolve(Directory.at(root), search_bytes_max=3).search_text("x")
    assert result.startswith('2 lines in 2 files with "x"\nskipped: 2 unsearched files\n')


@pytest.fixture
def fenced(tmp_path: Path) -> Path:
    """Lay a directory full of ways out next to a file that must stay unseen."""
    write(tmp_path / "outside", {"secret.txt": HIDDEN, "plain.txt": HIDDEN})
    root = write(tmp_path / "inside", {"a.txt": "a\n", "folder/b.txt": "b\n"})
    (root / "link.txt").symlink_to(tmp_path / "outside" / "plain.txt")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "folder" / "up").symlink_to("../..")
    (root / "chain").symlink_to("linked")
    (root / "self").symlink_to("self")
    (root / "inner").symlink_to("a.txt")
    return root


@pytest.mark.parametrize(
    "path",
    [
        *("..", "../outside/plain.txt", "folder/../../outside/plain.txt", "folder/.."),
        *("/etc/passwd", "//etc/passwd", "link.txt", "linked/plain.txt", "chain/plain.txt"),
        *("folder/up/outside/plain.txt", "self", "inner", "a.txt/b", "a.txt\0", "\udcff"),
        *("", ".", "folder", "missing.txt", "x" * 300, "x" * 5_000, "a/" * 40, "\ud800"),
    ],
)
def test_no_path_reads_what_is_no_file_of_the_directory(fenced: Path, path: str) -> None:
    with pytest.raises(ToolRefused) as refused:
        Directory.at(fenced).read_file(path)
    assert HIDDEN not in str(refused.value)


@pytest.mark.parametrize("folder", ["..", "/", "linked", "chain", "folder/up", "self", "a.txt"])
def test_no_folder_outside_is_listed_or_searched(fenced: Path, folder: str) -> None:
    tools: list[Callable[[], str]] = [
        lambda: Directory.at(fenced).list_files(folder),
        lambda: Directory.at(fenced).search_text(HIDDEN, folder),
    ]
    for tool in tools:
        with pytest.raises(ToolRefused):
            tool()


def test_links_are_counted_and_followed_by_no_tool(fenced: Path) -> None:
    directory = Directory.at(fenced)
    assert directory.list_files().split("\n")[2] == "skipped: 6 links"
    assert list(listed_files(directory.list_files())) == ["a.txt", "folder/b.txt"]
    assert directory.search_text(HIDDEN).startswith("0 lines in 0 files")


def test_a_folder_swapped_for_a_link_while_tools_run_leads_nowhere(fenced: Path) -> None:
    (fenced / "folder" / "plain.txt").write_text("inside\n")
    (fenced / "folder" / "up").unlink()
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (fenced / "folder").rename(fenced / "aside")
            (fenced / "folder").symlink_to(fenced.parent / "outside")
            (fenced / "folder").unlink()
            (fenced / "aside").rename(fenced / "folder")

    swapping = threading.Thread(target=swap)
    results: set[str] = set()
    # Threads take turns often enough to meet in mid-swap, however busy the machine is.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    swapping.start()
    try:
        for tries in range(50_000):
            results.add(_result_or_refusal(Directory.at(fenced), "folder/plain.txt"))
            if tries >= 500 and len(results) > 1:
                break
    finally:
        stop.set()
        swapping.join()
        sys.setswitchinterval(interval)
    assert not [result for result in results if HIDDEN in result]
    assert len(results) > 1, "the swap was never met: the test proves nothing"


def _result_or_refusal(directory: Directory, path: str) -> str:
    try:
        return directory.read_file(path) + directory.search_text(HIDDEN)[:20]
    except ToolRefused as refused:
        return str(refused)


WITHHELD = [
    *(".env", ".env.local", ".envrc", "prod.env", ".ENV", ".git/config", ".ssh/config"),
    *("id_rsa", "id_rsa.pub", "id_ed25519", "server.pem", "server.key", "SERVER.KEY"),
    *(".netrc", ".npmrc", ".pypirc", ".aws/credentials", "credentials.json", "secrets.yaml"),
    *("vault.kdbx", "deep/down/.env", "deep/.git/HEAD", ".pgpass", ".docker/config.json"),
]


@pytest.mark.parametrize("name", WITHHELD)
def test_a_name_that_may_hold_secrets_is_never_listed_read_or_searched(
    tmp_path: Path, name: str
) -> None:
    directory = Directory.at(write(tmp_path, {name: f"{HIDDEN}\n", "ordinary.txt": "x\n"}))
    with pytest.raises(ToolRefused, match="may hold secrets"):
        directory.read_file(name)
    assert list(listed_files(directory.list_files())) == ["ordinary.txt"]
    assert directory.search_text(HIDDEN).startswith("0 lines in 0 files")
    assert "1 withheld name" in directory.list_files()


def test_names_that_only_look_like_secrets_are_shown(tmp_path: Path) -> None:
    names = [".gitignore", ".github/ci.yml", "environment.txt", "keys.md", "key", "secretary.md"]
    directory = Directory.at(write(tmp_path, dict.fromkeys(names, "x\n")))
    assert set(listed_files(directory.list_files())) == set(names)


def test_a_pipe_blocks_no_tool(tmp_path: Path) -> None:
    root = write(tmp_path, {"a.txt": "x\n"})
    os.mkfifo(root / "pipe")
    directory = Directory.at(root)
    results: list[str] = []

    def look() -> None:
        results.append(directory.list_files())
        results.append(directory.search_text("x"))
        results.append(_result_or_refusal(directory, "pipe"))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(timeout=20)
    assert "skipped: 1 special file" in results[0]
    assert results[1].startswith("1 line in 1 file")
    assert results[2] == '"pipe": it is no regular file'


def test_hostile_names_are_shown_escaped_and_can_be_opened_as_shown(tmp_path: Path) -> None:
    name = "red\x1b[31m\nnew\tline\u202e.txt"
    directory = Directory.at(write(tmp_path, {f"bad\x07/{name}": "needle\n"}))
    shown = "bad\\x07/red\\x1b[31m\\nnew\\tline\\u202e.txt"
    assert f"\n{shown}  7 bytes" in directory.list_files()
    assert f"\n{shown}, 1 line\n" in directory.search_text("needle")
    assert directory.read_file(shown) == f"{shown}, lines 1 to 1 of 1\n1: needle"


def test_control_characters_of_a_text_are_shown_escaped(tmp_path: Path) -> None:
    directory = Directory.at(write(tmp_path, {"a.txt": "a\x1b]0;title\x07\tb\u202e\r\n"}))
    assert directory.read_file("a.txt").endswith("\n1: a\\x1b]0;title\\x07\tb\\u202e")
    assert "\x1b" not in directory.search_text("\x1b")


def test_a_refusal_shows_what_was_asked_escaped(tmp_path: Path) -> None:
    with pytest.raises(ToolRefused) as refused:
        Directory.at(tmp_path).read_file("\x1b[31m")
    assert str(refused.value) == '"\\x1b[31m": there is no such file or folder'
    assert refused.value.fields["reason"] == "there is no such file or folder"


def test_a_name_that_is_no_text_is_skipped_and_counted(tmp_path: Path) -> None:
    undecodable = os.fsencode(tmp_path) + b"/\xff\xfe.txt"
    try:
        with open(undecodable, "wb") as file:  # noqa: PTH123 - a path of bytes is the point
            file.write(b"x\n")
    except OSError:
        return  # A file system of text names cannot hold the case.
    directory = Directory.at(tmp_path)
    assert directory.list_files().split("\n")[1] == "skipped: 1 undecodable name"
    assert directory.search_text("x").startswith("0 lines in 0 files")


def test_a_binary_file_is_refused_and_a_search_counts_it(garden: Path) -> None:
    with pytest.raises(ToolRefused, match="binary, not text"):
        Directory.at(garden).read_file("photo.bin")
    assert "skipped: 1 binary file" in Directory.at(garden).search_text("plants")


def test_an_empty_directory_is_listed_as_empty(tmp_path: Path) -> None:
    assert Directory.at(tmp_path).list_files() == "0 files and 0 folders in ."


def test_a_directory_that_does_not_exist_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(DirectoryUnusable, match="there is no such file or folder") as refused:
        Directory.at(tmp_path / "missing")
    assert refused.value.path == str(tmp_path / "missing")


def test_a_file_is_refused_as_a_directory(garden: Path) -> None:
    with pytest.raises(DirectoryUnusable, match="it is not a directory"):
        Directory.at(garden / "README.md")


def test_a_link_to_a_directory_is_resolved_once_at_the_start(garden: Path, tmp_path: Path) -> None:
    (tmp_path / "door").symlink_to(garden)
    assert Directory.at(tmp_path / "door").root == garden.resolve()


def test_a_limit_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lines_read_max"):
        Directory(root=tmp_path, lines_read_max=0)
