from tests.cmpctl.command import Cmpctl


def test_x(ada: Cmpctl) -> None:
    print(ada("launch", "web", "--cpu", "0.5", "--memory", "64Mi", "-n", "2", "--image", "nginx", "-o", "json"))
    print(ada("ps"))
    print(ada("ps", "-o", "wide"))
    print(ada("--version"))
    print(ada("ps", "-w", until=lambda said: "web" in said.out))
    print(ada("launch", "web", "--cpu", "0.5", code=2))
    assert 0
