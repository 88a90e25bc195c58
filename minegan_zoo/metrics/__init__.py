"""Metrics as pure functions on features, and the table of them by name. May import contracts and neighbours.

FID, KID, KMMD, precision, recall and the Inception score are torch-fidelity's; the others it lacks.
"""

from minegan_zoo.metrics.classes import class_accuracy, inception_score
from minegan_zoo.metrics.copies import authenticity, memorisation
from minegan_zoo.metrics.distances import fid, kid, kmmd_rbf_median
from minegan_zoo.metrics.diversity import Rows, intra_cluster, mean_variance
from minegan_zoo.metrics.evidence import METRICS, Evidence, Metric
from minegan_zoo.metrics.neighbourhoods import density_coverage, precision_recall
from minegan_zoo.metrics.score import Score

__all__ = [
    "METRICS",
    "Evidence",
    "Metric",
    "Rows",
    "Score",
    "authenticity",
    "class_accuracy",
    "density_coverage",
    "fid",
    "inception_score",
    "intra_cluster",
    "kid",
    "kmmd_rbf_median",
    "mean_variance",
    "memorisation",
    "precision_recall",
]
