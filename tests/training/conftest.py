from tests.data import conftest as drawn

tokenizer, processor, model_folder = drawn.tokenizer, drawn.processor, drawn.model_folder
