"""Models as files that run without gancli: ONNX graphs and programs of torch.export.

Each is compared with the model before it is kept. Importing this package imports neither onnx nor torch."""

from gancli.exporting.writing import FORMATS, SEEDS, TOLERANCE, Exported, Format, check_installed, export

__all__ = ["FORMATS", "SEEDS", "TOLERANCE", "Exported", "Format", "check_installed", "export"]
