"""Stepping, hidden states and changes of the residual stream against plain forward passes of transformers."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from adhere.core.errors import ModelError  # noqa: E402
from adhere.core.model import Ask, Guide, Reply, Sampling, Steps  # noqa: E402
from adhere.core.record import assistant, user  # noqa: E402
from adhere.models.decoding import decode  # noqa: E402
from adhere.models.engine import Prepared  # noqa: E402
from adhere.models.local import LocalModel  # noqa: E402
from adhere.models.scripted import tiny_weights  # noqa: E402
from adhere.models.torch_engine import next_token  # noqa: E402
from adhere.models.white_box import WhiteBox  # noqa: E402

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
PROMPTS = ([5, 6, 7, 8], [9, 10], [5, 6, 7, 8, 11, 12, 13], [40])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny model with weights wide enough that its logits differ."""
    from adhere.models.weights import load_state, write_safetensors

    place = tiny_weights(tmp_path_factory.mktemp("tiny"))
    torch.manual_seed(0)
    state = {
        name: tensor if tensor.ndim == 1 else tensor + 0.15 * torch.randn_like(tensor)
        for name, tensor in load_state(place).items()
    }
    write_safetensors(state, place / "model.safetensors")
    return place


@pytest.fixture(scope="module")
def box(folder):
    return WhiteBox.open(folder, "fp32", "cpu")


@pytest.fixture(scope="module")
def theirs(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def plain(theirs, ids):
    with torch.no_grad():
        return theirs(torch.tensor([list(ids)])).logits[0, -1]


def check(stepping, theirs, contexts):
    assert stepping.lengths == [len(ids) for ids in contexts]
    wanted = torch.stack([plain(theirs, ids) for ids in contexts])
    assert wanted.std() > 0.5
    torch.testing.assert_close(stepping.logits, wanted, **CLOSE)


def test_logits_equal_transformers(box, theirs):
    contexts = [list(ids) for ids in PROMPTS]
    stepping = box.step_tokens(contexts)
    check(stepping, theirs, contexts)
    for tokens in (3, [14, 15, 16, 17], [20, 21, 22, 23]):
        stepping.take(tokens)
        given = [tokens] * 4 if isinstance(tokens, int) else tokens
        contexts = [[*ids, token] for ids, token in zip(contexts, given, strict=True)]
        check(stepping, theirs, contexts)
    tails = [[30, 31, 32], [], [33], [34, 35]]
    stepping.extend(tails)
    check(stepping, theirs, [[*ids, *tail] for ids, tail in zip(contexts, tails, strict=True)])


def test_long_contexts_equal_transformers(box, theirs):
    contexts = [torch.randint(3, 300, (length,)).tolist() for length in (300, 129, 128)]
    stepping = box.step_tokens(contexts)
    for token in range(50, 60):
        stepping.take(token)
        contexts = [[*ids, token] for ids in contexts]
    check(stepping, theirs, contexts)


def test_rows_are_dropped_forked_and_added(box, theirs):
    contexts = [list(ids) for ids in PROMPTS]
    stepping = box.step_tokens(contexts)
    rng = torch.Generator().manual_seed(5)
    for turn in range(12):
        count = len(contexts)
        if turn % 4 == 0:
            keep = [row for row in range(count) if row != turn % count]
            stepping.keep(keep)
            contexts = [contexts[row] for row in keep]
        elif turn % 4 == 1:
            stepping.fork(0, 2)
            contexts = [*contexts, contexts[0], contexts[0]]
        elif turn % 4 == 2:
            rows = torch.randint(0, count, (count + 1,), generator=rng).tolist()
            stepping.select(rows)
            contexts = [contexts[row] for row in rows]
        else:
            stepping.add([[60 + turn, 61], [70]])
            contexts = [*contexts, [60 + turn, 61], [70]]
        tokens = torch.randint(3, 300, (len(contexts),), generator=rng).tolist()
        stepping.take(tokens)
        contexts = [[*ids, token] for ids, token in zip(contexts, tokens, strict=True)]
        check(stepping, theirs, contexts)


def test_equal_prompts_are_read_once(box, theirs):
    stepping = box.step_tokens([[5, 6, 7]] * 6 + [[8, 9]])
    assert stepping.computed == 5
    stepping.take(list(range(10, 17)))
    check(stepping, theirs, [[5, 6, 7, 10 + row] for row in range(6)] + [[8, 9, 16]])
    assert stepping.computed == 5 + 7


def test_an_emptied_stepping_can_be_filled_again(box, theirs):
    stepping = box.step_tokens([[5, 6], [7]])
    stepping.keep([])
    stepping.take([])
    assert len(stepping) == 0
    assert stepping.logits.shape[0] == 0
    stepping.add([[8, 9, 10]])
    check(stepping, theirs, [[8, 9, 10]])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stepping: stepping.add([[]]),
        lambda stepping: stepping.add([[1_000_000]]),
        lambda stepping: stepping.take(-1),
        lambda stepping: stepping.take([1, 2, 3]),
        lambda stepping: stepping.extend([[1]]),
        lambda stepping: stepping.extend([[1] * 9000, []]),
    ],
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(box, theirs, spoil):
    stepping = box.step_tokens([[5, 6], [7]])
    with pytest.raises(ModelError):
        spoil(stepping)
    check(stepping, theirs, [[5, 6], [7]])


# --- the residual stream -------------------------------------------------------------------------------------


def test_hidden_states_equal_transformers(box, theirs):
    dialogues = [(user("What is the plan?"), assistant("The plan needs light.")), (user("Who are you?"),)]
    found = box.hidden_states(dialogues, [0, 1, 2])
    for one in found:
        with torch.no_grad():
            out = theirs.model(torch.tensor([list(one.ids)]), output_hidden_states=True)
        torch.testing.assert_close(one.states[0], out.hidden_states[0][0], **CLOSE)
        torch.testing.assert_close(one.states[1], out.hidden_states[1][0], **CLOSE)
        # theirs is normalised after the last layer, ours is the stream itself
        torch.testing.assert_close(theirs.model.norm(one.states[2]), out.hidden_states[2][0], **CLOSE)
        torch.testing.assert_close(box.llama.read_out(one.states[2])[-1], plain(theirs, one.ids), **CLOSE)
    reply = [number for number, is_reply in zip(found[0].ids, found[0].written, strict=True) if is_reply]
    assert box.chat.decode(reply) == "The plan needs light."
    assert not found[1].written.any()


def test_hidden_states_keep_the_order_asked_for(box):
    rows = [torch.randint(3, 300, (length,)).tolist() for length in (700, 5, 900, 800, 1)]
    together = box.hidden_states_of(rows, [2, 0])
    for row, found in zip(rows, together, strict=True):
        alone = box.hidden_states_of([row], [0, 2])[0]
        torch.testing.assert_close(found, alone[[1, 0]], **CLOSE)
    with pytest.raises(ModelError, match="layers from 0 to 2"):
        box.hidden_states_of(rows, [3])


def hooked(theirs, ids, vector):
    """The last logits of transformers with a vector added to what the first layer writes."""
    handle = theirs.model.layers[0].register_forward_hook(lambda *given: given[2] + vector)
    try:
        return plain(theirs, ids)
    finally:
        handle.remove()


def test_a_change_of_the_stream_acts_in_every_pass(box, theirs):
    vector = torch.randn(64)

    def add(stream, layer, places):
        return stream + vector if layer == 1 else stream

    stepping = box.step_tokens(PROMPTS, add)
    stepping.take(30)
    stepping.extend([[31, 32], [], [33], [34]])
    contexts = [[*ids, 30, *tail] for ids, tail in zip(PROMPTS, ([31, 32], [], [33], [34]), strict=True)]
    wanted = torch.stack([hooked(theirs, ids, vector) for ids in contexts])
    torch.testing.assert_close(stepping.logits, wanted, **CLOSE)
    seen = box.hidden_states_of(contexts, [2], add)
    for states, logits in zip(seen, wanted, strict=True):
        torch.testing.assert_close(box.llama.read_out(states[0, -1:])[0], logits, **CLOSE)
    pair = ((user("Who?"),), "The plan.")
    ids, written = box.chat.encode_dialogue((*pair[0], assistant(pair[1])))
    logged = [hooked(theirs, ids[:at], vector).log_softmax(0)[ids[at]] for at in range(len(ids)) if written[at]]
    assert box.score([pair], add)[0].logprob == pytest.approx(float(sum(logged)), abs=1e-3)


def test_a_change_knows_where_it_is(box, theirs):
    vector, seen = torch.randn(64), []

    def only_second_context(stream, layer, places):
        if layer == 0:
            seen.append([one.tolist() for one in (places.contexts, places.positions, places.left)])
        return torch.where((places.contexts == 1)[:, None] & (layer == 1), stream + vector, stream)

    stepping = box.step_tokens([[5, 6, 7], [8, 9]], only_second_context)
    stepping.select([1, 0])
    stepping.take(10)
    assert seen[0] == [[0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [2, 1, 0, 1, 0]]
    assert sorted(zip(*seen[1], strict=True)) == [(0, 2, 0), (1, 3, 0)]
    torch.testing.assert_close(box.step_tokens([[5, 6, 7], [8, 9]], only_second_context).logits[0],
                               plain(theirs, [5, 6, 7]), **CLOSE)  # fmt: skip


def test_scoring_under_a_change_shares_nothing(box):
    pairs = [((user("A long question, the same for all, of many words."),), reply) for reply in ("one", "two")]
    seen = []

    def watch(stream, layer, places):
        seen.append(places.contexts.tolist())
        return stream

    assert [one.logprob for one in box.score(pairs, watch)] == pytest.approx(
        [one.logprob for one in box.score(pairs)], abs=1e-4
    )
    assert set(seen[0]) == {0, 1}


# --- the decode loop -----------------------------------------------------------------------------------------


class Model:
    """A white box as a model, with its rows counted."""

    name = fingerprint = "tiny"

    def __init__(self, box):
        self.chat, self._box, self.made = box.chat, box, []

    def step_tokens(self, contexts, shift=None):
        self.made.append(self._box.step_tokens(contexts, shift))
        return self.made[-1]

    def step(self, contexts, shift=None):
        return self._box.step(contexts, shift)

    def hidden_states(self, dialogues, layers, shift=None):
        return self._box.hidden_states(dialogues, layers, shift)


ASKS = [Ask((user(f"Question {number} of the plan"),), Sampling(4 + number % 5)) for number in range(23)]


@pytest.fixture(scope="module")
def wanted(folder):
    """What transformers writes, greedily."""
    with LocalModel(folder, engine="torch") as model:
        return dict(model.generate(ASKS))


@pytest.mark.parametrize("rows", [1, 6, 64])
def test_replies_are_those_of_transformers(box, wanted, rows):
    model = Model(box)
    found = list(decode(model, ASKS, rows=rows))
    assert sorted(position for position, _ in found) == list(range(len(ASKS)))
    assert dict(found) == wanted


def test_rows_are_computed_only_while_their_reply_is_written(box, wanted):
    model = Model(box)
    list(decode(model, ASKS, rows=6))
    read = sum(reply.tokens_in for reply in wanted.values())
    written = sum(reply.tokens_out - 1 for reply in wanted.values())  # the last token is not read again
    assert model.made[0].computed == read + written


def test_two_contexts_are_combined(box, theirs):
    asks = [Ask((user(f"Question {number}"),), Sampling(5)) for number in range(4)]

    def contexts(ask):
        return (ask.messages, (user("Something else"),))

    found = dict(decode(Model(box), asks, contexts, lambda logits: logits[0] - 0.5 * logits[1], rows=4))
    for position, ask in enumerate(asks):
        read = [box.chat.encode_prompt(one) for one in contexts(ask)]
        tokens = []
        for _ in range(5):
            one, other = (plain(theirs, [*ids, *tokens]) for ids in read)
            tokens.append(int((one - 0.5 * other).argmax()))
            if tokens[-1] in box.chat.eos_ids:
                break
        assert found[position].text == box.chat.decode(tokens)
        assert found[position].tokens_in == len(read[0]) + len(read[1])


def test_samples_share_their_prompt_and_do_not_depend_on_company(box):
    sampling = Sampling(6, temperature=1.0, top_p=0.9, seed=3)
    asks = [Ask((user("Tell me a story of the harbour"),), sampling, sample) for sample in range(8)]
    model = Model(box)
    together = dict(decode(model, asks))
    prompt = len(box.chat.encode_prompt(asks[0].messages))
    assert model.made[0].computed <= prompt + 8 * 5
    assert len({reply.text for reply in together.values()}) >= 6
    alone = {position: next(decode(model, [ask]))[1] for position, ask in enumerate(asks)}
    assert together == alone


def test_asks_that_cannot_be_run_fail_alone(box):
    asks = [
        Ask((user("word " * 9000),), Sampling(3)),
        Ask((user("fine"),), Sampling(3)),
        Ask((user("nothing to write"),), Sampling(0)),
    ]
    found = dict(decode(Model(box), asks))
    assert [found[at].finish for at in range(3)] == ["error", "length", "length"]
    assert dict(decode(Model(box), asks[1:2], lambda ask: ()))[0].finish == "error"
    too_long = dict(decode(Model(box), asks[1:2], lambda ask: (ask.messages, asks[0].messages)))
    assert "the model holds 8192" in too_long[0].error
    assert list(decode(Model(box), [])) == []


def test_stop_strings_end_a_reply(box, wanted):
    ask = max(wanted, key=lambda at: len(wanted[at].text))
    text = wanted[ask].text
    stop = text[len(text) // 2 :][:2]
    asks = [Ask(ASKS[ask].messages, Sampling(8, stop=(stop,)))]
    reply = dict(decode(Model(box), asks))[0]
    assert reply.finish == "stop"
    assert reply.text == text[: text.index(stop)]


def test_a_local_model_opens_its_inside(folder):
    with LocalModel(folder, engine="torch") as model:
        assert isinstance(model, Steps)
        assert isinstance(dict(decode(model, ASKS[:1]))[0], Reply)
        stepping = model.step([ASKS[0].messages])
        assert stepping.logits.shape == (1, model.white_box().llama.shape.vocabulary)
        prompt = (user("Who wrote this?"),)
        row = model.chat.encode_dialogue((*prompt, assistant("A reader.")))
        [scored] = model.score([(prompt, "A reader.")])
        assert sum(model.score_tokens([row])[0]) == pytest.approx(scored.logprob)
        assert scored.prompt_tokens == len(model.chat.encode_prompt(prompt))


def test_guides_are_kept(box):
    pytest.importorskip("llguidance")
    asks = [Ask((user(f"Question {number}"),), Sampling(12, 1.0, seed=number, guide=Guide("regex", "[ab]{3}c")))
            for number in range(4)]  # fmt: skip
    found = dict(decode(Model(box), [*asks, Ask(asks[0].messages, Sampling(6))]))
    assert all(re.fullmatch("[ab]{3}c", found[at].text) for at in range(4))
    assert not re.fullmatch("[ab]{3}c", found[4].text)
    assert len({found[at].text for at in range(4)}) > 1


@pytest.mark.parametrize("spoilt", [float("nan"), float("-inf")])
def test_logits_that_are_no_numbers_are_refused(box, spoilt):
    with pytest.raises(ModelError, match="combines the logits"):
        list(decode(Model(box), ASKS[:1], combine=lambda logits: logits[0] * 0 + spoilt))


# --- drawing -------------------------------------------------------------------------------------------------


def drawn(logits, **settings):
    """Shares of tokens over many draws."""
    one = Prepared(0, Ask((user("x"),), Sampling(temperature=1.0, **settings)), [0], 9)
    generator = torch.Generator().manual_seed(0)
    tokens = [next_token(logits, one, [], generator) for _ in range(3000)]
    return torch.bincount(torch.tensor(tokens), minlength=len(logits)) / 3000


def expected(logits, top_k=0, min_p=0.0, top_p=1.0):
    """The definition, over the whole sorted vocabulary."""
    shares, order = logits.softmax(0).sort(descending=True)
    if top_k:
        shares = torch.where(torch.arange(len(shares)) < top_k, shares, 0.0)
        shares = shares / shares.sum()
    shares = torch.where((shares < min_p * shares[0]) | (shares.cumsum(0) - shares >= top_p), 0.0, shares)
    return torch.zeros(len(logits)).index_copy_(0, order, shares / shares.sum())


@pytest.mark.parametrize("spread", [0.1, 5.0])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"top_k": 7},
        {"top_p": 0.6},
        {"top_p": 0.99},
        {"min_p": 0.3},
        {"min_p": 0.1, "top_p": 0.5},
        {"top_k": 50, "min_p": 0.2, "top_p": 0.8},
        {"top_k": 9999, "top_p": 0.9},
    ],
)
def test_drawing_follows_its_definition(spread, settings):
    logits = spread * torch.randn(900, generator=torch.Generator().manual_seed(1))
    found, wanted = drawn(logits, **settings), expected(logits, **settings)
    assert (found[wanted == 0] == 0).all()
    # total variation of 3,000 draws from up to 900 tokens; a wrong rule is several times as far
    assert 0.5 * float((found - wanted).abs().sum()) < 0.02 + 0.4 * (int((wanted > 0).sum()) / 3000) ** 0.5
