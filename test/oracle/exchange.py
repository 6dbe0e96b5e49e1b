"""The fields that the readers of exchange files define, and their verdict on files that saeflow wrote.

Why: SAEDashboard's and Neuronpedia's formats are documented by their Python classes alone. SAEDashboard's are in its
package; Neuronpedia's importer takes the rows that utils/neuronpedia-utils/neuronpedia_utils/db_models of its repository
defines, which no package holds: give the folder that holds neuronpedia_utils in NEURONPEDIA_UTILS.
Run: pip install sae-dashboard==0.8.0 neuronpedia==1.2.1
     NEURONPEDIA_UTILS=… python test/oracle/exchange.py [SAEDASHBOARD_FOLDER NEURONPEDIA_FOLDER]
Writes exchange.json beside itself; with folders it builds every object in them with those classes first, checks that it
comes back unchanged, and records how many there were.
"""
import dataclasses
import gzip
import inspect
import json
import os
import sys
import typing
from importlib.metadata import version
from pathlib import Path

from neuronpedia.np_activation import Activation as PackageActivation
from sae_dashboard.neuronpedia.neuronpedia_dashboard import NeuronpediaDashboardActivation, NeuronpediaDashboardBatch, NeuronpediaDashboardFeature

sys.path.insert(0, os.environ["NEURONPEDIA_UTILS"])
from neuronpedia_utils.db_models.activation import Activation  # noqa: E402
from neuronpedia_utils.db_models.feature import Feature  # noqa: E402
from neuronpedia_utils.db_models.model import Model  # noqa: E402
from neuronpedia_utils.db_models.source import Source  # noqa: E402
from neuronpedia_utils.db_models.source_release import SourceRelease  # noqa: E402
from neuronpedia_utils.db_models.source_set import SourceSet  # noqa: E402

ROWS = {"release": SourceRelease, "model": Model, "sourceset": SourceSet, "source": Source, "features": Feature, "activations": Activation}


def arguments(cls):
    return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]


def conforms(value, annotation):
    """True when a JSON value is what the annotation of a dataclass's field says; a time is its ISO text."""
    origin = typing.get_origin(annotation)
    if origin is typing.Union:
        return any(conforms(value, one) for one in typing.get_args(annotation))
    if origin is list:
        return isinstance(value, list) and all(conforms(one, typing.get_args(annotation)[0]) for one in value)
    if annotation is type(None):
        return value is None
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation.__name__ == "datetime":
        return bool(annotation.fromisoformat(value))
    return isinstance(value, annotation)


def check_dashboard(folder):
    counts = {"batches": 0, "features": 0, "activations": 0}
    for path in sorted(Path(folder).glob("batch-*.json")):
        data = json.loads(path.read_text())
        batch = NeuronpediaDashboardBatch(**data)
        assert batch.to_dict() == data, path
        counts["batches"] += 1
        counts["features"] += len(batch.features)
        counts["activations"] += sum(len(feature.activations) for feature in batch.features)
        for feature in batch.features:
            for one in feature.activations:
                assert len(one.tokens) == len(one.values) and 0 <= one.qualifying_token_index < len(one.tokens)
    return counts


def rows_of(path):
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def check_neuronpedia(folder):
    counts = {name: 0 for name in ROWS}
    ablated = 0
    for path in sorted(Path(folder).rglob("*.jsonl*")):
        name = path.parent.name if path.suffix == ".gz" else path.stem
        cls = ROWS[name]
        hints = typing.get_type_hints(cls)
        for row in rows_of(path):
            made = cls(**row)
            assert dataclasses.asdict(made) == row, path
            for field, value in row.items():
                assert conforms(value, hints[field]), (path, field, value)
            counts[name] += 1
            if name == "activations":
                package = PackageActivation.from_np_db_json({**row, "source": row["layer"], "binContains": None if row["binContains"] < 0 else row["binContains"]})
                assert len(package.tokens) == len(row["lossValues"])
                ablated += any(value != 0 for value in row["lossValues"])
    return {**counts, "activationsWithAblations": ablated}


def main():
    result = {
        "madeBy": f"exchange.py, sae-dashboard {version('sae-dashboard')}, neuronpedia {version('neuronpedia')}, Python {sys.version.split()[0]}; db_models of hijohnnylin/neuronpedia at {os.environ.get('NEURONPEDIA_COMMIT', 'unknown')}",
        "saedashboard": {"batch": arguments(NeuronpediaDashboardBatch), "feature": arguments(NeuronpediaDashboardFeature), "activation": arguments(NeuronpediaDashboardActivation)},
        "neuronpedia": {name: [field.name for field in dataclasses.fields(cls)] for name, cls in ROWS.items()},
    }
    if len(sys.argv) == 3:
        result["checked"] = {"saedashboard": check_dashboard(sys.argv[1]), "neuronpedia": check_neuronpedia(sys.argv[2])}
    (Path(__file__).parent / "exchange.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result.get("checked"), indent=1))


main()
