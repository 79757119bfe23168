"""transformers' own ways to a MoAI: Auto classes, the processor's call, chat templates, pipelines, peft."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoProcessor, ProcessorMixin, pipeline

from moai.models.inputs.image_processing import MoAIImageProcessor, image_pixels, normalize_pixels
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from tests import warm
from tests.conftest import EXAMPLES, tiny_config
from tests.models.test_prompts import CHATML, chat_processor
from weights import NANO

ROOT = Path(__file__).parents[3]
PICTURE = Image.effect_noise((50, 30), 90).convert("RGB")
TALK = (("user", "What does the sign say?"), ("assistant", "DOG"), ("user", "And <b>where</b>, é?"))


def plain() -> list[dict]:
    return [{"role": role, "content": text} for role, text in TALK]


def with_parts(picture=PICTURE) -> list[dict]:
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in TALK]
    messages[0]["content"].insert(0, {"type": "image", "image": picture})
    return messages


def templated(processor, messages) -> dict:
    return processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )


def said_by(code: str) -> str:
    """What a process says that has not imported transformers before."""
    code = f"import sys; assert 'transformers' not in sys.modules\n{code}"
    done = warm.run([sys.executable, "-c", code], ROOT, os.environ, more=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_auto_classes_know_moai_once_both_are_imported():
    # Here transformers came first; in the other order it is up to a fresh process.
    assert type(AutoConfig.from_pretrained(NANO)).__name__ == "MoAIConfig"
    code = f"""
import moai
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
config = AutoConfig.from_pretrained({str(NANO)!r})
print(AutoModelForImageTextToText.from_config(config).__class__.__name__)
print(type(AutoProcessor.from_pretrained({str(NANO)!r})).__name__)
"""
    assert said_by(code).split() == ["MoAIForConditionalGeneration", "MoAIProcessor"]


@pytest.mark.parametrize("first", ["AutoModelForObjectDetection", "AutoProcessor", "pipeline"])
def test_any_name_of_transformers_may_come_first_after_moai(first):
    code = f"import moai; from transformers import {first}, AutoConfig; print(AutoConfig.for_model('moai').model_type)"
    assert said_by(code) == "moai"


def test_moai_alone_imports_nothing_heavy():
    code = "import moai, sys; print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_pictures_and_text(processor):
    texts = ["a <image> b", "c"]
    inputs = processor(images=[PICTURE], text=texts, return_tensors="pt", padding=True)
    assert inputs["pixel_values"].shape == (1, 3, 32, 32)
    counts = (inputs["input_ids"] == processor.image_token_id).sum(dim=1)
    assert counts.tolist() == [64, 0] and inputs["attention_mask"][1, 0] == 0
    assert processor(PICTURE, "<image>", return_tensors="pt")["input_ids"].shape == (1, 64)
    with pytest.raises(ValueError, match="a text holds at most one picture, but '<image><image>' has 2"):
        processor(images=[PICTURE] * 2, text="<image><image>")
    with pytest.raises(ValueError, match="pictures, text or both"):
        processor()


def test_scenes_go_with_pictures_and_text(processor, scene):
    inputs = processor(images=PICTURE, text="<image>", scenes=[scene], return_tensors="pt")
    ours = processor([plain()], pictures=[PICTURE], scenes=[scene])
    for name in ("pixel_values", "panoptic_pixel_values", "aux_input_ids", "aux_attention_mask"):
        assert torch.equal(inputs[name], ours[name])
    with pytest.raises(ValueError, match="got 2 scenes, which must be one for each picture"):
        processor(images=PICTURE, text="<image>", scenes=[scene] * 2, return_tensors="pt")


def test_the_image_processor_makes_the_same_pixels(tmp_path):
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    size = {"height": 40, "width": 40}
    images = MoAIImageProcessor(size=size, image_mean=mean, image_std=std, legacy_color_map=True)
    expected = normalize_pixels(image_pixels(PICTURE, 40)[None], False, mean, std)
    assert torch.equal(images(PICTURE, return_tensors="pt")["pixel_values"], expected)
    images.save_pretrained(tmp_path)
    assert (tmp_path / "preprocessor_config.json").is_file()
    tiny_config().save_pretrained(tmp_path)
    again = AutoImageProcessor.from_pretrained(tmp_path)
    assert isinstance(again, MoAIImageProcessor) and again.legacy_color_map
    assert torch.equal(again(PICTURE, return_tensors="pt")["pixel_values"], expected)


@pytest.mark.parametrize("style", ["plain", "reference_demo", "reference_evaluation", "chat"])
def test_templates_write_what_the_model_reads(processor, style, tmp_path):
    if style == "chat":
        processor = chat_processor(CHATML)
    else:
        tokenizer = processor.tokenizer
        processor = MoAIProcessor(tokenizer, image_size=32, num_image_tokens=64, prompt_style=style)
    expected = processor([plain()], pictures=[PICTURE])
    inputs = templated(processor, with_parts())
    assert inputs.keys() == expected.keys()
    for name, values in expected.items():
        assert torch.equal(inputs[name], values), name
    text = processor([plain()])
    assert torch.equal(templated(processor, plain())["input_ids"], text["input_ids"])
    processor.save_pretrained(tmp_path)
    again = MoAIProcessor.from_pretrained(tmp_path)
    assert again.apply_chat_template(with_parts()) == processor.apply_chat_template(with_parts())
    batch = processor.apply_chat_template(
        [with_parts(), plain()], tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True,
        processor_kwargs={"padding": True},
    )  # fmt: skip
    assert len(batch["input_ids"]) == 2 and len(batch["pixel_values"]) == 1


@pytest.mark.skipif(
    not hasattr(ProcessorMixin, "_adjust_assistant_masks_indices"),
    reason="older versions of transformers lose count behind a picture",
)
@pytest.mark.parametrize("style", ["plain", "reference_demo"])
def test_answers_are_marked_behind_a_picture(processor, style):
    processor = MoAIProcessor(processor.tokenizer, image_size=32, num_image_tokens=64, prompt_style=style)
    inputs = processor.apply_chat_template(
        with_parts(), tokenize=True, return_dict=True, return_tensors="pt", return_assistant_tokens_mask=True
    )
    said = inputs["input_ids"][inputs["assistant_masks"].bool()]
    assert said.tolist() == processor.answer_ids("DOG")
    with_system = [{"role": "system", "content": "Be brief."}, *with_parts()]
    ids = processor.conversation_ids([{"role": "system", "content": "Be brief."}, *plain()[:1]], with_image=True)
    inputs = processor.apply_chat_template(with_system[:2], tokenize=True, return_dict=True, return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == ids


def test_a_pipeline_answers_as_the_backbone_does():
    answer = pipeline("image-text-to-text", model=str(NANO))
    messages = [with_parts(str(EXAMPLES / "street.png"))[0]]
    said = answer(text=messages, max_new_tokens=8, return_full_text=False, do_sample=False)[0]["generated_text"]
    processor = AutoProcessor.from_pretrained(NANO)
    inputs = processor([plain()[:1]], pictures=[Image.open(EXAMPLES / "street.png")])
    ids = answer.model.generate(**inputs, max_new_tokens=8, do_sample=False)
    assert said == processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True) != ""


def test_resized_embeddings_stay_tied_and_save(model, inputs, tmp_path):
    before = model(**inputs).logits
    model.resize_token_embeddings(70)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert model.lm_head.weight.shape[0] == model.lm_head.out_features == 70
    model.save_pretrained(tmp_path)
    again = MoAIForConditionalGeneration.from_pretrained(tmp_path)
    assert torch.equal(again.eval()(**inputs).logits, model(**inputs).logits)
    torch.testing.assert_close(model(**inputs).logits[..., :64], before)


def test_peft_adapts_all_linears(model, inputs, tmp_path):
    peft = pytest.importorskip("peft")
    frozen = {name: value.clone() for name, value in model.state_dict().items()}
    settings = peft.LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    adapted = peft.get_peft_model(model, settings)
    assert all(".default." in name for name, one in adapted.named_parameters() if one.requires_grad)
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] == model.config.image_token_id, -100)
    adapted(**inputs, labels=labels).loss.backward()
    trained = [one for one in adapted.parameters() if one.requires_grad]
    assert trained and all(one.grad is None or one.grad.isfinite().all() for one in trained)
    assert sum(one.grad is not None for one in trained) > 0.8 * len(trained)
    torch.optim.SGD(trained, lr=0.1).step()
    adapted.eval()
    said = adapted.generate(**inputs, max_new_tokens=4, do_sample=False)
    adapted.save_pretrained(tmp_path)
    base = MoAIForConditionalGeneration(model.config).eval()
    base.load_state_dict(frozen)
    again = peft.PeftModel.from_pretrained(base, tmp_path).eval()
    assert torch.equal(again.generate(**inputs, max_new_tokens=4, do_sample=False), said)
    with torch.no_grad():
        torch.testing.assert_close(
            again.merge_and_unload()(**inputs).logits, adapted(**inputs).logits, atol=1e-3, rtol=1e-3
        )
