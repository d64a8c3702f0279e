"""Text becomes levels and comes back exactly; a corpus is the same on every machine and tests on nothing it showed."""

import json

import pytest
import torch

from course_lib.data import Vocabulary, load_names, load_shakespeare, load_tang, store, windows

ABC = Vocabulary("cab\n")


@pytest.mark.parametrize("text", ["To be, or not to be.\n", "床前明月光疑是地上霜", "𮪃e\u0301é🙂", "ab" * 50])
def test_a_text_comes_back_as_it_went(text):
    vocabulary = Vocabulary(text)
    x = vocabulary.encode(text)
    assert x.shape == (len(text),) and x.dtype == torch.long
    assert x.min() >= 0 and x.max() == vocabulary.levels - 1 == len(vocabulary) - 1
    assert vocabulary.decode(x) == text
    assert vocabulary.encode("").shape == (0,) and vocabulary.decode(vocabulary.encode("")) == ""


def test_a_vocabulary_depends_on_nothing_but_its_characters():
    assert ABC.characters == Vocabulary(["b", "", "ca", "\nab"]).characters == "\nabc"
    assert ABC.encode("abc\n").tolist() == [1, 2, 3, 0]
    assert Vocabulary(iter("cb")).characters == "bc"


@pytest.mark.parametrize(("texts", "count"), [("", 0), ([], 0), (["", ""], 0), ("aaaa", 1), (["a", "aa"], 1)])
def test_nothing_to_predict_is_refused(texts, count):
    with pytest.raises(ValueError, match=rf"at least two distinct characters, got {count} .* nothing to predict; give"):
        Vocabulary(texts)


def test_an_unknown_character_is_pointed_at():
    expected = r"^cannot encode '€' at position 3 of 'abc€b': the vocabulary has 4 characters, .* build it from"
    with pytest.raises(ValueError, match=expected):
        ABC.encode("abc€b")
    with pytest.raises(ValueError, match=expected):
        ABC.encode_all(["a", "abc€b", "abcabcabc"])  # in the text as it was given, before end marks
    with pytest.raises(ValueError, match=r"cannot encode '€' at position 100 of '…a{20}€b{19}…'"):
        ABC.encode("a" * 100 + "€" + "b" * 100)  # a long text is not poured into a message


def test_one_text_and_many_are_not_confused():
    with pytest.raises(TypeError, match="expected one string, got list; encode_all takes many"):
        ABC.encode(["a", "b"])
    with pytest.raises(TypeError, match="expected many strings, got one; encode takes one"):
        ABC.encode_all("ab")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.tensor([0, 4]), ValueError, "levels 0 to 3, got 0 to 4"),
        (torch.tensor([[0, -1]]), ValueError, "levels 0 to 3, got -1 to 0"),
        (torch.tensor([0.0, 1.0]), TypeError, "torch.long, got torch.float32"),
        (torch.zeros(1, 2, 3, dtype=torch.long), ValueError, "shape"),
        ([0, 1], TypeError, "expected a torch.Tensor, got list"),
    ],
)
def test_decode_refuses_what_is_no_text(x, error, message):
    with pytest.raises(error, match=message):
        ABC.decode(x)


def test_texts_of_equal_length_are_a_rectangle_as_they_are():
    vocabulary = Vocabulary("abc")  # which needs no end mark for it
    x = vocabulary.encode_all(["ab", "ca"])
    assert x.dtype == torch.long and x.tolist() == [[0, 1], [2, 0]]
    assert vocabulary.decode(x) == ["ab", "ca"]


@pytest.mark.parametrize(
    ("texts", "length", "rows"),
    [
        (["a", "cab", ""], None, ["a\n\n\n", "cab\n", "\n\n\n\n"]),
        (["a", "cab"], 3, ["a\n\n", "cab"]),
        (["ab", "ca"], 4, ["ab\n\n", "ca\n\n"]),
        (["ab", "ca"], 2, ["ab", "ca"]),
        (["a\nb", "c\n\n"], None, ["a\nb", "c\n\n"]),  # no end marks here: a new line is a character like others
    ],
)
def test_texts_of_different_lengths_are_filled_with_end_marks(texts, length, rows):
    assert ABC.decode(ABC.encode_all(texts, length)) == rows


@pytest.mark.parametrize(
    ("texts", "length", "message"),
    [
        (["a", "cab"], 2, "length: expected at least 3, .* got 2"),
        ([], None, "at least one text, got none"),
        (["a\nb", "c"], None, r"marks the end of a text, and 'a\\nb' holds one"),
    ],
)
def test_a_rectangle_that_cannot_be_is_refused(texts, length, message):
    with pytest.raises(ValueError, match=message):
        ABC.encode_all(texts, length)


def test_end_marks_need_a_vocabulary_that_has_them():
    with pytest.raises(ValueError, match=r"shorter than 3 need the end mark .* Vocabulary\(\[\*texts, '\\n'\]\)"):
        Vocabulary("ab").encode_all(["a", "ab"])


@pytest.mark.parametrize(
    ("length", "stride", "rows"),
    [
        (3, None, [[0, 1, 2], [3, 4, 5]]),
        (3, 2, [[0, 1, 2], [2, 3, 4], [4, 5, 6]]),
        (7, None, [[0, 1, 2, 3, 4, 5, 6]]),
        (1, 4, [[0], [4]]),
    ],
)
def test_windows_follow_one_another_or_overlap(length, stride, rows):
    assert windows(torch.arange(7), length, stride).tolist() == rows


@pytest.mark.parametrize(("x", "length"), [(torch.arange(7), 8), (torch.arange(7), 0), (torch.zeros(7, 7), 3)])
def test_a_text_without_one_window_is_refused(x, length):
    with pytest.raises(ValueError, match=r"T ≥ length ≥ 1, got shape .* longer text, or ask for shorter"):
        windows(x, length)


def test_a_stride_that_goes_nowhere_is_refused():
    with pytest.raises(ValueError, match="stride: expected at least 1, got 0"):
        windows(torch.arange(7), 3, 0)


# --- the corpora, from small files of ours --------------------------------------------------------------------


@pytest.fixture
def put(put_files):
    """put({name: text}): they become all that the store knows."""
    return lambda files: put_files({name: text.encode() for name, text in files.items()})


def tang(*poems):
    return json.dumps([{"title": "t", "paragraphs": poem} for poem in poems], ensure_ascii=False)


NIGHT = ["床前明月光，疑是地上霜。", "舉頭望明月，低頭思故鄉。"]
SPRING = ["春眠不覺曉，處處聞啼鳥；夜來風雨聲，花落知多少？"]  # one paragraph, other marks
TOWER = ["白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。"]


def test_tang_keeps_whole_quatrains_of_five_and_each_once(put):
    not_quatrains = [
        [],
        TOWER[:1],
        [*TOWER, *NIGHT],
        ["松下問童子，言師採藥去。", "只在此山中，雲深不知。"],  # nineteen
        ["松下問童子，言師採藥。", "去只在此山中，雲深不知處。"],  # twenty, not by fives
        ["朝辭白帝彩雲間，千里江陵一日還。", "兩岸猿聲啼不住，輕舟已過萬重山。"],
        ["松下問□子，言師採藥去。", "只在此山中，雲深不知處。"],
        ["松下問童子，言師採藥去。", "只在此山中，雲深（知處。"],
    ]
    edition = ["牀前看月光，疑是地上霜。", "舉頭望山月，低頭思故鄉。"]  # NIGHT, but for three characters
    twelve = ["床前明月光，疑是地上霜。", "舉頭白日依，山盡黃河入。"]  # as many places are NIGHT's: too many
    eleven = ["床前明月光，疑是地上霜。", "舉白日依山，盡黃河入海。"]  # another poem
    put(
        {
            "tang_poems/poet.tang.0.json": tang(NIGHT, *not_quatrains),
            "text/names.txt": "no poems here",
            "tang_poems/poet.tang.1000.json": tang(edition, SPRING, NIGHT, twelve, eleven, TOWER),
        }
    )
    corpus = load_tang()
    assert sorted(corpus.train + corpus.test) == sorted(
        [
            "床前明月光疑是地上霜舉頭望明月低頭思故鄉",
            "春眠不覺曉處處聞啼鳥夜來風雨聲花落知多少",
            "床前明月光疑是地上霜舉白日依山盡黃河入海",
            "白日依山盡黃河入海流欲窮千里目更上一層樓",
        ]
    )
    assert corpus.vocabulary.encode_all(corpus.train).shape == (4, 20)
    assert corpus.vocabulary.levels == len(set("".join(corpus.train + corpus.test))), "no end mark: all are of 20"


def test_names_are_told_apart_and_a_tenth_is_held_out(put):
    names = [first + last for first in "abcde" for last in ("nna", "vi", "zra", "di")]  # 20, sorted
    put({"text/names.txt": "\n".join([*names, "anna", "evi"])})
    corpus, again = load_names(), load_names()
    assert (corpus.train, corpus.test) == (again.train, again.test)
    assert len(corpus.train) == 18 and len(corpus.test) == 2
    assert sorted(corpus.train + corpus.test) == sorted(names), "each name once, so in one part only"
    assert corpus.test == ("enna", "evi"), "another tenth: numbers measured before cannot be compared any more"
    rows = corpus.vocabulary.decode(corpus.vocabulary.encode_all(corpus.train))
    assert tuple(row.rstrip("\n") for row in rows) == corpus.train and all(row.endswith("\n") for row in rows)


def test_shakespeare_comes_in_pieces_when_asked(put):
    put({"text/tiny_shakespeare.txt": "".join(chr(65 + n) for n in range(50))})
    corpus = load_shakespeare(length=2)
    assert (
        corpus.train == tuple(chr(65 + n) + chr(66 + n) for n in range(0, 44, 2)) and "".join(corpus.train)[-1] == "l"
    )
    assert corpus.test == ("no", "pq"), "the last one is left over"
    for length in (0, 6):
        with pytest.raises(ValueError, match=r"length: expected 1 to 5 characters, got"):
            load_shakespeare(length=length)


def test_shakespeare_is_cut_once_at_nine_tenths(put):
    put({"text/tiny_shakespeare.txt": "0123456789\nz"})
    corpus = load_shakespeare()
    assert corpus.train == ("0123456789",) and corpus.test == ("\nz",)
    assert corpus.vocabulary.characters == "\n0123456789z"


def test_a_corpus_is_verified_before_it_is_read(put):
    put({"text/names.txt": "anna"})
    (store.store_folder() / "text/names.txt").write_text("other")
    with pytest.raises(store.StoreError, match="is not the file that the course knows"):
        load_names()


def test_a_corpus_is_shown_in_one_line(put):
    put({"text/names.txt": "\n".join("abcdefghijkl")})
    assert repr(load_names()) == (
        "Corpus(name='names', unit='name', vocabulary=<Vocabulary of 13 characters: '\\nabcdefghijkl'>)"
    )


# --- the registry and the real files --------------------------------------------------------------------------


def test_the_registry_has_all_tang_files_and_names_few_of_them_in_a_message():
    tang_files = [name for name in store.REGISTRY if name.startswith("tang_poems/")]
    assert tang_files == [f"tang_poems/poet.tang.{n}.json" for n in range(0, 58_000, 1000)]
    downloads = [store.REGISTRY[name] for name in tang_files]  # one line each in data/registry.toml
    assert [one.url.rpartition("/")[2] for one in downloads] == [name.partition("/")[2] for name in tang_files]
    assert len({one.sha256 for one in downloads}) == 58 and len({one.licence for one in downloads}) == 1
    with pytest.raises(store.StoreError) as caught:
        store.fetch("text/poems.txt")
    assert "text/names.txt" in str(caught.value) and len(str(caught.value)) < 400


REAL = {
    "text/names.txt": (load_names, 26_545, 2_949, 27, "cache", "bernice"),
    "text/tiny_shakespeare.txt": (load_shakespeare, 1, 1, 65, "First Citizen:\n", "?\n\nGREMIO:\n"),
    "tang_poems/poet.tang.57000.json": (load_tang, 3_213, 356, 3758, "恩酬期必報", "回轉沙岸近"),
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_corpora(need_real, name):
    need_real(name)
    load, train, test, levels, first, held_out = REAL[name]
    corpus = load()
    assert (len(corpus.train), len(corpus.test), corpus.vocabulary.levels) == (train, test, levels)
    assert corpus.train[0].startswith(first) and corpus.test[0].startswith(held_out)
    assert not set(corpus.train) & set(corpus.test)
    x = corpus.vocabulary.encode_all(corpus.train)
    assert x.shape == (train, {"tang": 20, "names": 16, "shakespeare": 1_003_854}[corpus.name])
    assert tuple(text.rstrip("\n") for text in corpus.vocabulary.decode(x)) == tuple(
        t.rstrip("\n") for t in corpus.train
    )
