"""Adapters: a LoRA that was trained for a local model, merged into its weights."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from peft import PeftModel

from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.weights import check_safe


def adapted(model: Any, adapter: Path) -> Any:
    """The model with the adapter merged into it; both must fit each other."""
    described = adapter / "adapter_config.json"
    if not described.is_file():
        raise ConfigError(
            f"there is no adapter in {adapter} (no adapter_config.json); name a folder that "
            f"peft's save_pretrained wrote"
        )
    check_safe(adapter, "adapter")
    try:
        with warnings.catch_warnings():
            # peft asks transformers by names that are about to go, which is not the user's affair.
            warnings.simplefilter("ignore", FutureWarning)
            # Missing weights are only warned of, and would leave the base as it is.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except Exception as error:
        base = json.loads(described.read_text()).get("base_model_name_or_path")
        first = str(error).partition("\n")[0]
        raise ConfigError(
            f"the adapter in {adapter} does not fit this model: {first}; it was made for {base}"
        ) from error
