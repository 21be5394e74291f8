"""Spark Connect behind the server, for those who outgrow one machine (`febe[spark]`)."""

import warnings

# It concerns programs that work with pandas by way of Spark.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)

from febe.engines.spark.engine import SparkEngine  # noqa: E402 - the filter comes first

__all__ = ["SparkEngine"]
