"""The arithmetic of the PCA, without Spark; against scikit-learn, which computes it from the rows by SVD."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from job.contract.errors import VarianceError
from job.stages.pca import fit, fold


def rows(n=400, d=30, seed=7):
    """Non-negative, correlated, of falling variance, as pooled ReLU6 features are; float32."""
    random = np.random.default_rng(seed)
    return np.clip(random.normal(size=(n, 8)) @ random.normal(size=(8, d)) + 0.3 * random.normal(size=(n, d)), 0, 6).astype(np.float32)


@pytest.mark.parametrize("standardize", [False, True])
def test_it_agrees_with_scikit_learn_up_to_sign(standardize):
    x = rows()
    reference_rows = StandardScaler().fit_transform(x.astype(np.float64)) if standardize else x.astype(np.float64)
    reference = PCA(10, svd_solver="full").fit(reference_rows)

    fitted = fit(fold(x), components=10, standardize=standardize)

    signs = np.sign((fitted.components * reference.components_.T).sum(axis=0))
    np.testing.assert_allclose(fitted.components * signs, reference.components_.T, atol=1e-6)
    np.testing.assert_allclose(fitted.ratios[:10], reference.explained_variance_ratio_, atol=1e-9)


def test_moments_of_parts_add_up_to_the_moments_of_all():
    x = rows()

    parts = fold(x[:100]) + fold(x[100:101]) + fold(x[101:])

    assert parts.n == 400
    np.testing.assert_allclose(fit(parts, 5).components, fit(fold(x), 5).components, atol=1e-12)


def test_the_largest_loading_of_each_component_is_positive():
    components = fit(fold(rows()), 10).components

    assert (components[np.abs(components).argmax(axis=0), np.arange(10)] > 0).all()


def test_variance_keeps_the_fewest_components_that_explain_it():
    fitted = fit(fold(rows()), variance=0.9)

    assert fitted.ratios[: fitted.k].sum() >= 0.9
    assert fitted.ratios[: fitted.k - 1].sum() < 0.9


def test_all_of_the_variance_is_all_components():
    assert fit(fold(rows()), variance=1.0).k == 30


def test_fewer_images_than_components_give_as_many_as_there_are():
    assert fit(fold(rows(n=4)), components=50).k == 3


def test_a_constant_feature_gets_no_weight_when_standardised():
    x = rows()
    x[:, 3] = 2.5

    fitted = fit(fold(x), 5, standardize=True)

    assert fitted.scale[3] == 0
    assert (fitted.loadings[3] == 0).all()
    assert np.isfinite(fitted.loadings).all()


@pytest.mark.parametrize(("x", "message"), [(rows(n=1), "at least two images, there is `1`"), (np.ones((5, 30)), "all `5` images")])
def test_nothing_to_decompose_is_said(x, message):
    with pytest.raises(VarianceError, match=message):
        fit(fold(x), 2)
