"""A tokenizer of the size that CodeBERT's has, for what a call costs may grow with a vocabulary."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer

from enstack.data.functions import Functions
from enstack.toy.tiny_models import TinyModel, make_tokenizer

TRAINED, TOKENS, TEXTS = 8000, 50_265, 5000


def tokenizer_for(train: Functions) -> Any:
    """8,000 tokens learnt from the first functions, and more that stand for nothing in them."""
    texts = train.sources.slice(0, TEXTS).to_pylist()
    tokenizer = make_tokenizer(TinyModel(TRAINED, hidden=8, layers=1, heads=1), texts)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = content["model"]["vocab"]
    vocabulary.update({f"<more {token}>": token for token in range(len(vocabulary), TOKENS)})
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content))
    return tokenizer
