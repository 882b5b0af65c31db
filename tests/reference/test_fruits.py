"""The fruits file against the folders of the published data set."""

from job.product.fruits import labels


def test_all_131_labels_of_the_data_set_are_mapped_and_no_other(real_sample):
    assert set(labels()) == {folder.name for folder in (real_sample / "Training").iterdir()}
