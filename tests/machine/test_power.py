"""Governor, load and battery, on trees of real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.machine.power import read_power
from tests.machine.tree import grow

SUPPLY = "sys/class/power_supply"


def battery(status: str, scope: str = "System") -> dict[str, str | int]:
    return {
        f"{SUPPLY}/BAT0/type": "Battery\n",
        f"{SUPPLY}/BAT0/status": f"{status}\n",
        f"{SUPPLY}/BAT0/scope": f"{scope}\n",
    }


def mains(online: int) -> dict[str, str | int]:
    return {f"{SUPPLY}/AC/type": "Mains\n", f"{SUPPLY}/AC/online": online}


@pytest.mark.parametrize(
    ("files", "on_battery"),
    [
        ({**battery("Discharging"), **mains(0)}, True),
        ({**battery("Charging"), **mains(1)}, False),
        ({**battery("Discharging"), **mains(1)}, False),
        (battery("Discharging"), True),
        (battery("Full"), False),
        (battery("Discharging", scope="Device"), None),
        (mains(1), False),
    ],
)
def test_battery(tmp_path: Path, files: dict[str, str | int], on_battery: bool | None) -> None:
    assert read_power(grow(tmp_path, files)).on_battery is on_battery


def test_a_server_tells_of_no_supply(tmp_path: Path) -> None:
    (tmp_path / SUPPLY).mkdir(parents=True)
    assert read_power(tmp_path).on_battery is None


@pytest.mark.parametrize(("plugged", "on_battery"), [(True, False), (False, True), (None, None)])
def test_without_sys_the_fallback_tells(tmp_path: Path, plugged: bool | None, on_battery: bool | None) -> None:
    power = read_power(tmp_path, plugged=lambda: plugged, load=lambda: 1.5)
    assert power == (None, 1.5, on_battery)


def test_every_governor_in_use_is_named(tmp_path: Path) -> None:
    cores = "sys/devices/system/cpu"
    files = {
        f"{cores}/cpu0/cpufreq/scaling_governor": "powersave\n",
        f"{cores}/cpu1/cpufreq/scaling_governor": "performance\n",
        f"{cores}/cpu2/cpufreq/scaling_governor": "powersave\n",
    }
    assert read_power(grow(tmp_path, files)).governor == "performance,powersave"


def test_load_average_is_over_one_minute(tmp_path: Path) -> None:
    assert read_power(grow(tmp_path, {"proc/loadavg": "0.52 4.11 9.00 1/300 99\n"})).load_average == 0.52
