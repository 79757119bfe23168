"""Conversations in a language model's own chat template."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moai.models.processing import MoAIProcessor
from moai.training.tokenizer import build_tokenizer

CHATML = (
    "{% if messages[0].role != 'system' %}<|begin|>system\nYou help.<|end|>\n{% endif %}"
    "{% for m in messages %}<|begin|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)
THINKING = CHATML.replace("assistant\n{% endif", "assistant\n{% if not thinking %}<|none|>{% endif %}{% endif").replace(
    "{{ m.role }}\n", "{{ m.role }}\n{% if m.role == 'assistant' and not thinking %}<|none|>{% endif %}"
)
STRICT = "{{ raise_exception('roles must alternate') if messages|length == 2 }}" + CHATML


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def chat_processor(template=CHATML, **options):
    tokenizer = build_tokenizer(["You help.", "What is this? A dog", "system user assistant"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|begin|>", "<|end|>", "<|none|>"]})
    tokenizer.chat_template = template
    return MoAIProcessor(tokenizer, 32, 64, prompt_style="chat", template_options=options or None)


@pytest.fixture(scope="module")
def processor():
    return chat_processor()


def test_the_prompt_is_the_templates(processor):
    messages = [user("What is this?"), assistant("A dog"), user("Why?")]
    filled = processor.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert processor.conversation_ids(messages, with_image=False) == filled
    messages = [{"role": "system", "content": "Be short."}, *messages]
    filled = processor.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert processor.conversation_ids(messages, with_image=False) == filled


REFUSING = "{{ raise_exception('no system messages') if messages[0].role == 'system' }}" + CHATML
SILENT = CHATML.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")


@pytest.mark.parametrize("template", [REFUSING, SILENT])
def test_where_a_template_writes_no_system_message_it_stands_before_the_first_question(template):
    processor = chat_processor(template)
    messages = [user("What is this?"), assistant("A dog"), user("Why?")]
    told = [user("Be short.\nWhat is this?"), *messages[1:]]
    system = {"role": "system", "content": "Be short."}
    assert processor.conversation_ids([system, *messages], True) == processor.conversation_ids(told, True)
    asked, said = [*messages, assistant("is")], [*told, assistant("is")]
    assert processor.dialogue_ids([system, *asked], True) == processor.dialogue_ids(said, True)
    assert [one["content"] for one in messages] == ["What is this?", "A dog", "Why?"]


def test_the_picture_stands_before_the_first_question(processor):
    ids = processor.conversation_ids([user("What?"), assistant("A dog"), user("Why?")], with_image=True)
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    start = ids.index(image)
    assert ids[start : start + 64] == [image] * 64 and ids.count(image) == 64
    assert processor.tokenizer.decode(ids[:start]).endswith("<|begin|>user\n")
    assert processor.tokenizer.decode(ids[start + 64 :]).startswith("\nWhat?<|end|>")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["<image>", "<|end|>", "<|begin|>", "</s>", "a", " ", "\n", "\ud83d"]), max_size=6))
def test_special_tokens_of_a_user_are_letters(pieces):
    processor, text = PROCESSOR, "".join(pieces)
    ids = processor.conversation_ids([user(text)], with_image=True)
    special = {name: processor.tokenizer.convert_tokens_to_ids(name) for name in ("<image>", "<|end|>", "<|begin|>")}
    assert [ids.count(special[name]) for name in ("<image>", "<|end|>", "<|begin|>")] == [64, 2, 3]
    spoken = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert f"\n{spoken}<|end|>" in processor.tokenizer.decode(ids)


PROCESSOR = chat_processor()


@pytest.mark.parametrize("with_image", [False, True])
@pytest.mark.parametrize("template", [CHATML, THINKING])
def test_parts_are_the_whole(template, with_image):
    processor = chat_processor(template)
    question, answer = "What is that thing?", "A dog, I think"
    whole = processor.conversation_ids([user(question)], with_image)
    assert processor.prefix_ids(with_image) + processor.question_ids(question, with_image) == whole
    ids, answered = processor.dialogue_ids([user(question), assistant(answer)], with_image)
    assert ids == whole + processor.answer_ids(answer)
    assert answered == [False] * len(whole) + [True] * len(processor.answer_ids(answer))
    assert processor.tokenizer.decode(processor.answer_ids(answer)) == f"{answer}<|end|>"


def test_a_dialogue_says_which_tokens_are_answers(processor):
    ids, answered = processor.dialogue_ids([user("a"), assistant("A dog"), user("b"), assistant("is this?")], True)
    said = [id for id, one in zip(ids, answered, strict=True) if one]
    assert processor.tokenizer.decode(said) == "A dog<|end|>is this?<|end|>"
    assert answered[-1]


def test_a_dialogue_in_a_fixed_style(tokenizer):
    plain = MoAIProcessor(tokenizer, 32, 64)
    ids, answered = plain.dialogue_ids([user("a"), assistant("A dog"), user("b"), assistant("is")], False)
    assert tokenizer.decode([id for id, one in zip(ids, answered, strict=True) if one]) == " A dog</s> is</s>"
    assert ids[: answered.index(True)] == plain.conversation_ids([user("a")], False)


def test_options_go_to_the_template():
    silent = chat_processor(THINKING).conversation_ids([user("a")], False)
    thinking = chat_processor(THINKING, thinking=True).conversation_ids([user("a")], False)
    assert len(silent) == len(thinking) + 1


def test_a_template_that_does_not_end_its_answers():
    endless = chat_processor("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:")
    assert endless.answer_ids("A dog")[-1] == endless.tokenizer.eos_token_id


def test_refusals(processor):
    with pytest.raises(ValueError, match=r"no chat template; take one that has one, or the prompt style plain"):
        chat_processor(None).prefix_ids(True)
    with pytest.raises(ValueError, match=r"chat template refuses the conversation: roles must alternate"):
        chat_processor(STRICT).dialogue_ids([user("a"), assistant("b")], False)
    with pytest.raises(ValueError, match="must end with a message of the assistant"):
        processor.dialogue_ids([user("a")], True)
    with pytest.raises(ValueError, match="needs a message of the user"):
        processor.dialogue_ids([assistant("a")], True)
    with pytest.raises(ValueError, match="must be the first"):
        processor.conversation_ids([user("a"), {"role": "system", "content": "x"}, user("b")], True)


def test_saved_and_loaded(tmp_path):
    processor = chat_processor(THINKING, thinking=True)
    processor.image_processor.image_mean = (0.5, 0.5, 0.5)
    processor.prefix_ids(True)  # what is kept of the template is not saved
    processor.save_pretrained(tmp_path)
    again = MoAIProcessor.from_pretrained(tmp_path)
    messages = [user("What <|end|>?")]
    assert again.conversation_ids(messages, True) == processor.conversation_ids(messages, True)
    assert (again.image_mean, again.template_options) == ([0.5, 0.5, 0.5], {"thinking": True})
