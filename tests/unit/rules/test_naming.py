"""Names that people choose, and the names that Kubernetes gets of them."""

import re
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.models import InstanceType
from app.rules import naming
from app.schemas import ClusterName, Image, LabelKey, LabelValue, Username

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_cluster_name: TypeAdapter[str] = TypeAdapter(ClusterName)
_username: TypeAdapter[str] = TypeAdapter(Username)
_image: TypeAdapter[str] = TypeAdapter(Image)
_label_key: TypeAdapter[str] = TypeAdapter(LabelKey)
_label_value: TypeAdapter[str] = TypeAdapter(LabelValue)
_near_names = st.text(alphabet="abz09-._@A é\n\u0000", max_size=45)


def accepts(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        return adapter.validate_python(text) == text
    except ValidationError:
        return False


@given(_near_names)
def test_an_accepted_cluster_name_makes_valid_kubernetes_names(name: str) -> None:
    if not accepts(_cluster_name, name):
        return
    assert _DNS_LABEL.fullmatch(name)
    assert name[0] in string.ascii_lowercase
    for made in (naming.namespace_for(name), naming.namespace_with_suffix(name), naming.instance_name(name, 3000)):
        assert _DNS_LABEL.fullmatch(made), made


@pytest.mark.parametrize(
    "name", ["a", "web", "web-2", "a" * 40, "abcdefabcdefabcdefabcdefabcdefab", "web-ns", "a-instance-1", "kubernetes"]
)
def test_cluster_names(name: str) -> None:
    assert accepts(_cluster_name, name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "Web",
        "1web",
        "-web",
        "web-",
        "we_b",
        "we.b",
        "we b",
        "web\n",
        "\nweb",
        "wéb",
        "web\u0000",
        "a" * 41,
        "kube-system",
        "kube-x",
        "abcdefab-abcd-abcd-abcd-abcdefabcdef",
    ],
)
def test_what_is_no_cluster_name(name: str) -> None:
    assert not accepts(_cluster_name, name)


@pytest.mark.parametrize("name", ["ada", "ada@example.com", "a.b-c_d".replace("_", "-"), "7", "x" * 63])
def test_usernames(name: str) -> None:
    assert accepts(_username, name)


@pytest.mark.parametrize(
    "name", ["", "me", "Ada", "ada ", "a/b", "*", ".ada", "ada.", "x" * 64, "ada\n", "ädä", str(uuid.UUID(int=5))]
)
def test_what_is_no_username(name: str) -> None:
    assert not accepts(_username, name)


def test_instances_of_two_clusters_never_share_a_name() -> None:
    names = ["a", "a-instance", "a-instance-1", "a-1", "a-instance-1-instance"]
    made = [naming.instance_name(name, ordinal) for name in names for ordinal in (1, 2, 11, 111)]
    assert len(set(made)) == len(made)


def test_what_an_instance_is_called_in_kubernetes() -> None:
    assert naming.kubernetes_resource(InstanceType.CONTAINER, "web-instance-1") == "pods/web-instance-1"
    assert naming.kubernetes_resource(InstanceType.VM, "lab-instance-1") == "virtualmachines/lab-instance-1"
    assert {naming.kubernetes_resource(kind, "x") for kind in InstanceType}


def test_a_suffix_is_another_one_each_time() -> None:
    made = {naming.namespace_with_suffix("web") for _ in range(50)}
    assert len(made) > 45
    assert all(re.fullmatch(r"web-[a-z0-9]{5}-ns", name) for name in made)


@pytest.mark.parametrize(
    "reference",
    [
        "nginx",
        "nginx:latest",
        "nginx:1.29-alpine",
        "library/nginx",
        "registry.example/team/app:v1",
        "registry.example:5000/team/app@sha256:" + "a" * 64,
        "localhost:5000/app:v1@sha256:" + "0" * 64,
        "demo:does-not-exist",
    ],
)
def test_images(reference: str) -> None:
    assert accepts(_image, reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        " ",
        "nginx latest",
        "nginx\n",
        "-x",
        "a:b:c",
        "nginx:",
        "nginx@sha256:abc",
        "x/../y",
        "/nginx",
        "nginx:é",
        "$(x)",
    ],
)
def test_what_is_no_image(reference: str) -> None:
    assert not accepts(_image, reference)


@given(st.text(max_size=70), st.text(max_size=70))
def test_a_filter_takes_exactly_the_labels_that_a_cluster_takes(key: str, value: str) -> None:
    taken = re.fullmatch(naming.LABEL_FILTER_PATTERN, f"{key}={value}") is not None and "=" not in key
    assert taken == (accepts(_label_key, key) and accepts(_label_value, value))


@given(st.uuids())
def test_ids_read_as_ids(id: uuid.UUID) -> None:
    assert naming.reads_as_id(str(id))
    assert naming.reads_as_id(str(id).upper())
    assert not naming.reads_as_id(id.hex)
    assert not naming.reads_as_id(id.urn)
    assert not naming.reads_as_id(f"{{{id}}}")
