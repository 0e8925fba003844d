import json
import os
from pathlib import Path

import pytest

from adhere.core.errors import DataError
from adhere.core.model import Reply, Sampling
from adhere.evals.floor import null_floor
from adhere.evals.grade import compare_graded, grade
from adhere.evals.ifeval import ifeval_report, mean_level, read_ifeval
from adhere.verify.catalogue import IFEVAL_TYPES


class Fixed:
    """Gives each prompt the reply that a dict holds for it, else a default."""

    name = "fixed"
    fingerprint = "fixed"

    def __init__(self, replies=None, default="fine", finish="stop"):
        self.replies, self.default, self.finish = replies or {}, default, finish

    def generate(self, asks):
        for position, ask in enumerate(asks):
            text = self.replies.get(ask.messages[-1].text, self.default)
            yield position, Reply("", "error", error="no") if text is None else Reply(text, self.finish, 3, 5)


def line(key=1, prompt="Say it.", ids=("punctuation:no_comma",), kwargs=({},)):
    return {"key": key, "prompt": prompt, "instruction_id_list": list(ids), "kwargs": list(kwargs)}


def written(tmp_path, *lines):
    path = tmp_path / "data.jsonl"
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines), "utf-8")
    return path


def test_rows_become_records_without_nulls_and_with_whole_numbers(tmp_path):
    words = {"relation": "at least", "num_words": 30.0, "keyword": None}
    path = written(
        tmp_path, line(7, "Go.", ["length_constraints:number_words", "detectable_format:title"], [words, None])
    )
    (record,) = read_ifeval(path).records
    assert record.instruction == "Go."
    assert record.checks[0].params == {"relation": "at least", "num_words": 30}
    assert isinstance(record.checks[0].params["num_words"], int)
    assert record.checks[1].params == {}
    assert record.notes["key"] == "7"


def test_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(line()).encode() + b"\r\n\n   \n")
    assert len(read_ifeval(path).records) == 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", "line 2"),
        ('"a string"', "line 2"),
        ({"key": 1, "prompt": "x"}, "line 2"),
        (line(2, "   "), "blank"),
        (line(2, "x", ["punctuation:no_comma"], []), "as many kwargs"),
        (line(2, "x", [], []), "as many kwargs"),
        (
            line(2, "x", ["length_constraints:number_words"], [{"num_words": "many", "relation": "at least"}]),
            "num_words",
        ),
        (line(2, "x", ["length_constraints:number_words"], [{}]), "needs parameter"),
        (line(2, "x", ["detectable_format:title"], [{"color": 3}]), "color"),
        (line(1), "same prompt"),
    ],
)
def test_malformed_rows_are_named_with_their_line(tmp_path, bad, says):
    with pytest.raises(DataError, match=says) as caught:
        read_ifeval(written(tmp_path, line(), bad))
    assert "line 2" in caught.value.message


def test_missing_binary_and_empty_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_ifeval(tmp_path / "nothing.jsonl")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_ifeval(tmp_path / "binary")
    with pytest.raises(DataError, match="no row"):
        read_ifeval(written(tmp_path))


def small(tmp_path):
    return read_ifeval(
        written(
            tmp_path,
            line(1, "One."),
            line(2, "Two.", ["punctuation:no_comma", "detectable_format:title"], [{}, {}]),
            line(3, "Three.", ["startend:quotation"], [{}]),
            line(
                1122,
                "Four.",
                ["keywords:letter_frequency"],
                [{"letter": "#", "let_frequency": 2, "let_relation": "at least"}],
            ),
        )
    )


def test_the_four_numbers(tmp_path):
    benchmark = small(tmp_path)
    model = Fixed({"One.": "fine", "Two.": "no title", "Three.": 'See:\n"quoted"', "Four.": "# and #"})
    report = ifeval_report(grade(model, benchmark, sampling=Sampling(max_tokens=1280)), benchmark)
    assert report.prompt_strict.share == pytest.approx(2 / 4)
    assert report.instruction_strict.share == pytest.approx(3 / 5)
    assert report.prompt_loose.share == pytest.approx(3 / 4)  # without its first line the third is quoted
    assert report.instruction_loose.share == pytest.approx(4 / 5)
    assert report.mean_strict == pytest.approx((2 / 4 + 3 / 5) / 2)
    assert report.stops == 1.0
    assert report.not_judged == 0
    assert report.judged_literally == ("1122",)
    for level in (report.prompt_strict, report.instruction_strict, report.prompt_loose, report.instruction_loose):
        assert level.low <= level.share <= level.high


def test_failed_asks_and_unknown_ids_are_not_judged_and_never_zero(tmp_path):
    path = written(
        tmp_path,
        line(1, "One."),
        line(2, "Two.", ["punctuation:no_comma", "new:type"], [{}, {"n": 3}]),
        line(3, "Three.", ["punctuation:no_comma", "detectable_format:title"], [{}, {}]),
    )
    benchmark = read_ifeval(path)
    report = ifeval_report(grade(Fixed({"Three.": None}), benchmark), benchmark)
    assert report.prompt_strict.share == 1.0
    assert report.prompt_strict.n == 1  # the second prompt has an instruction without a verdict
    assert report.instruction_strict.share == 1.0
    assert report.instruction_strict.n == 2
    assert report.not_judged == 3
    assert report.unknown == {"new:type": 1}


def test_nothing_answered_is_an_error_and_no_score(tmp_path):
    benchmark = small(tmp_path)
    with pytest.raises(DataError):
        ifeval_report(grade(Fixed(default=None), benchmark), benchmark)


def test_the_json_object_has_the_documented_keys_and_is_json(tmp_path):
    benchmark = small(tmp_path)
    floor = null_floor(benchmark.records, IFEVAL_TYPES)
    found = ifeval_report(grade(Fixed(finish="length"), benchmark), benchmark, floor).for_json()
    for key in ("prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose"):
        low, high = found["intervals"][key]
        assert 0 <= low <= found[key] <= high <= 1
    assert found["floor"]["instruction_strict"] > 0
    assert found["not_judged"] == 0
    assert found["stops"] == 0.0
    assert json.loads(json.dumps(found)) == found


def test_two_gradings_are_compared_on_the_headline_number(tmp_path):
    benchmark = small(tmp_path)
    worse, better = grade(Fixed(default="a, b"), benchmark), grade(Fixed(default='"<<t>> #1 #2"'), benchmark)
    found = compare_graded(worse, better, mean_level(benchmark), "mean of prompt and instruction level")
    one, other = ifeval_report(worse, benchmark), ifeval_report(better, benchmark)
    assert found.difference == pytest.approx(other.mean_strict - one.mean_strict)
    assert found.difference == pytest.approx(1.0)


SHARED = Path(os.environ.get("ADHERE_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "ifeval"
needs_data = pytest.mark.skipif(not SHARED.exists(), reason="IFEval's files are not here (set ADHERE_SHARED)")


@needs_data
def test_the_published_file_is_read_whole():
    benchmark = read_ifeval(SHARED / "input_data.jsonl")
    assert len(benchmark.records) == 541
    assert sum(len(record.checks) for record in benchmark.records) == 834
    assert {check.kind for record in benchmark.records for check in record.checks} <= set(IFEVAL_TYPES)


@needs_data
def test_two_quote_marks_score_what_the_reference_gives_them():
    benchmark = read_ifeval(SHARED / "input_data.jsonl")
    found = null_floor(benchmark.records, IFEVAL_TYPES, ['""'])
    assert found is not None
    assert found.prompt_strict == pytest.approx(0.213, abs=5e-4)
    assert found.instruction_strict == pytest.approx(0.336, abs=5e-4)


@needs_data
def test_published_replies_score_as_the_reference_scored_them():
    benchmark = read_ifeval(SHARED / "input_data.jsonl")
    rows = [json.loads(one) for one in (SHARED / "input_response_data_gpt4_20231107_145030.jsonl").open("rb")]
    replies = {row["prompt"]: row["response"] for row in rows}
    report = ifeval_report(grade(Fixed(replies), benchmark), benchmark)
    golden = [json.loads(one) for one in (SHARED / "golden_verdicts_gpt4__input_data.jsonl").open("rb")]
    strict = [value for row in golden for value in row["strict"]]
    assert report.instruction_strict.share == pytest.approx(sum(strict) / len(strict), abs=0.01)
    assert report.instruction_loose.share >= report.instruction_strict.share
    half = (report.instruction_strict.high - report.instruction_strict.low) / 2
    assert half / 1.965 == pytest.approx(0.0138, abs=0.0015)  # cluster-robust SE, measured independently
