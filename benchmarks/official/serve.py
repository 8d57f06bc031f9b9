"""The serving script a user of the scikit-learn container writes, after AWS's own examples.

It is what benchmarks/serving.py compares with: a joblib Pipeline, its input as a pandas frame, and the four
functions of
https://sagemaker.readthedocs.io/en/stable/frameworks/sklearn/using_sklearn.html#serve-a-model
"""

import io
import json
from pathlib import Path

import joblib
import pandas as pd


def model_fn(model_dir):
    columns = json.loads(Path(model_dir, "columns.json").read_text())
    return joblib.load(Path(model_dir, "pipeline.joblib")), columns


def input_fn(body, content_type):
    if content_type == "application/json":
        return pd.DataFrame(json.loads(body)["instances"])
    if content_type == "text/csv":
        return pd.read_csv(io.StringIO(body), header=None, keep_default_na=False, na_values=[""])
    raise ValueError(f"unsupported content type {content_type}")


def predict_fn(frame, model):
    pipeline, columns = model
    if frame.columns[0] == 0:
        frame.columns = columns
    if hasattr(pipeline, "predict_proba"):
        return pipeline.predict_proba(frame)
    return pipeline.predict(frame)


def output_fn(prediction, accept):
    if accept == "text/csv":
        return pd.DataFrame(prediction).to_csv(header=False, index=False), accept
    return json.dumps({"predictions": prediction.tolist()}), accept
