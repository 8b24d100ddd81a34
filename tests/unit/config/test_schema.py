"""The keys of a configuration, and what is wrong with them."""

from __future__ import annotations

import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._assets.settings import Assets
from perdure._config import jsonc, toml
from perdure._config.env_names import HOSTED
from perdure._config.project import Binding, D1Resource, Export, Migration, Rename, Resource, Service
from perdure._config.schema import KEYS, UNUSED_KEYS, read_project

ROOT = pathlib.Path("/project")
LEAST = {"name": "shop", "main": "app.py"}


def read(table, *, environment=None, **more):
    text = json.dumps({**LEAST, **table, **more}, indent=1)
    value, source, _ = jsonc.parse(text, "wrangler.jsonc")
    return read_project(value, source, ROOT, environment=environment)


def project_of(table, **more):
    project, problems = read(table, **more)
    assert [problem.message for problem in problems if problem.severity == "error"] == []
    return project


def problem_of(table, **more):
    _, problems = read(table, **more)
    assert len(problems) == 1, [problem.message for problem in problems]
    return problems[0]


def pointed_at(problem):
    """The text under the caret."""
    return problem.source[problem.column - 1 : problem.column - 1 + problem.length]


def test_the_least_configuration_is_a_main_file():
    """Everything else has a default."""
    project = project_of({})
    assert (project.name, project.main, project.root) == ("shop", ROOT / "app.py", ROOT)
    assert project.bindings is None
    assert project.declared.migrations is None
    assert project.default_data == ROOT / ".perdure"


def test_a_missing_main_is_told():
    """There is nothing to run without."""
    value, source, _ = jsonc.parse('{"name": "x"}', "wrangler.jsonc")
    _, (problem,) = read_project(value, source, ROOT)
    assert problem.code == "config/missing-key"
    assert '"main" is missing' in problem.message
    assert problem.file == "wrangler.jsonc"


def test_a_project_without_a_name_has_that_of_its_folder():
    """Or of the pyproject it stands in."""
    value, source, _ = jsonc.parse('{"main": "app.py"}', "f")
    assert read_project(value, source, pathlib.Path("/My Shop"))[0].name == "my-shop"
    assert read_project(value, source, ROOT, default_name="other")[0].name == "other"


@pytest.mark.rows("EP-03")
def test_triggers_name_times():
    """In the order of the file; the same one twice is told, and runs once."""
    project, problems = read({"triggers": {"crons": ["*/5 * * * *", "0 9 * * MON", "*/5 * * * *"]}})
    assert [cron.text for cron in project.crons] == ["*/5 * * * *", "0 9 * * MON"]
    assert [problem.code for problem in problems] == ["config/duplicate-cron"]


def test_triggers_are_inherited_by_an_environment():
    """As in Cloudflare's own tool; an empty list switches them off."""
    table = {"triggers": {"crons": ["* * * * *"]}, "env": {"a": {}, "b": {"triggers": {"crons": []}}}}
    assert len(project_of(table, environment="a").crons) == 1
    assert project_of(table, environment="b").crons == ()


@pytest.mark.parametrize(
    ("text", "part", "says"),
    [
        ("*/5 25 * * *", "25", '"25" is no hour'),
        ("0 0 * * MUN", "MUN", '"MUN" is no day of the week'),
        ("0 9 * *", "0 9 * *", "has five fields"),
        ("0\t99 * * *", '"0\\t99 * * *"', '"99" is no hour'),
    ],
)
def test_a_wrong_expression_is_pointed_at(text, part, says):
    """At the field that is wrong, unless the file spells it with escapes."""
    problem = problem_of({"triggers": {"crons": ["* * * * *", text]}})
    assert problem.code == "config/invalid-cron"
    assert says in problem.message
    assert pointed_at(problem) == part


@pytest.mark.rows("MIG-01")
def test_bindings_name_classes():
    """`env.<name>` is the namespace of the class."""
    project = project_of({"durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]}})
    assert project.bindings == (Binding("ROOM", "Room", ("durable_objects", "bindings", 0)),)


@pytest.mark.rows("MIG-01")
def test_a_class_of_another_project_is_absent():
    """One process runs one project: it starts, and what is not here is told."""
    table = {"durable_objects": {"bindings": [{"name": "R", "class_name": "Room", "script_name": "x"}]}}
    problem = problem_of(table)
    assert (problem.code, problem.severity) == ("config/script-name", "warning")
    assert pointed_at(problem) == '"x"'
    project = project_of(table)
    assert project.bindings == ()
    assert [(one.name, one.what) for one in project.hosted] == [("R", 'objects of another project, "x"')]


@pytest.mark.rows("MIG-01")
def test_the_projects_own_name_is_no_other_project():
    """As Cloudflare allows."""
    bindings = [{"name": "R", "class_name": "Room", "script_name": "shop"}]
    assert project_of({"durable_objects": {"bindings": bindings}}).bindings is not None


@pytest.mark.parametrize(
    ("table", "code", "pointed"),
    [
        ({"durable_objects": {"bindings": [{"name": "R"}]}}, "config/missing-key", None),
        ({"durable_objects": {"bindings": [{"class_name": "R"}]}}, "config/missing-key", None),
        (
            {
                "durable_objects": {
                    "bindings": [{"name": "R", "class_name": "A"}, {"name": "R", "class_name": "B"}]
                }
            },
            "config/duplicate-binding",
            '"R"',
        ),
        (
            {"durable_objects": {"bindings": [{"name": "R", "class_name": "A"}]}, "vars": {"R": 1}},
            "config/duplicate-binding",
            '"R"',
        ),
        ({"durable_objects": []}, "config/wrong-type", "[]"),
        ({"durable_objects": {"bindings": {}}}, "config/wrong-type", "{}"),
        ({"durable_objects": {"bindings": ["ROOM"]}}, "config/wrong-type", '"ROOM"'),
        ({"durable_objects": {"bindings": [{"name": "", "class_name": "A"}]}}, "config/wrong-type", '""'),
        ({"name": 7}, "config/wrong-type", "7"),
        ({"vars": "x"}, "config/wrong-type", '"x"'),
        ({"main": "index.js"}, "config/not-python", '"index.js"'),
        ({"compatibility_date": "yesterday"}, "config/wrong-type", '"yesterday"'),
        ({"compatibility_date": "2026-02-30"}, "config/wrong-type", '"2026-02-30"'),
        ({"compatibility_flags": "x"}, "config/wrong-type", '"x"'),
        ({"compatibility_flags": [1]}, "config/wrong-type", "1"),
        ({"assets": {}}, "config/missing-key", None),
        ({"assets": {"directory": 1}}, "config/wrong-type", "1"),
        ({"migrations": {}}, "config/wrong-type", "{}"),
        ({"migrations": [{"new_classes": ["A"]}]}, "config/missing-key", None),
        ({"migrations": [{"tag": "v1", "new_sqlite_classes": "A"}]}, "config/wrong-type", '"A"'),
        ({"migrations": [{"tag": "v1", "renamed_classes": [{"from": "A"}]}]}, "config/missing-key", None),
        ({"unique_keys": {"A": 1}}, "config/wrong-type", "1"),
        ({"unique_keys": {"A": "k", "B": "k"}}, "config/duplicate-unique-key", '"k"'),
        ({"exports": []}, "config/wrong-type", "[]"),
        ({"exports": {"A": 1}}, "config/wrong-type", "1"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(table, code, pointed):
    """The caret stands under the value; for what is missing, under what it is missing in."""
    problem = problem_of(table)
    assert problem.code == code
    assert problem.line is not None
    if pointed is not None:
        assert pointed_at(problem) == pointed


def test_all_problems_are_told_at_once():
    """Nobody likes to find them one by one."""
    _, problems = read({"name": 7, "vars": [], "assets": {}, "compatibility_date": "x"})
    assert len(problems) == 4


@pytest.mark.rows("MIG-03", "MIG-05", "MIG-07")
def test_migrations_are_read_in_order():
    """Every kind of step that makes sense on one's own machine."""
    project = project_of(
        {
            "migrations": [
                {"tag": "v1", "new_sqlite_classes": ["A", "B"], "new_classes": ["C"]},
                {"tag": "v2", "renamed_classes": [{"from": "A", "to": "D"}], "deleted_classes": ["B"]},
            ]
        }
    )
    assert project.declared.migrations == (
        Migration("v1", ("A", "B"), ("C",), at=("migrations", 0)),
        Migration("v2", (), (), (Rename("A", "D"),), ("B",), at=("migrations", 1)),
    )


def test_a_transferred_class_is_refused():
    """Projects do not share a data folder."""
    transfer = {"from": "A", "from_script": "other", "to": "B"}
    problem = problem_of({"migrations": [{"tag": "v1", "transferred_classes": [transfer]}]})
    assert problem.code == "config/transfer"


@pytest.mark.rows("MIG-11", "MIG-12")
def test_exports_are_read():
    """A live class, a tombstone of a deleted and one of a renamed class."""
    project = project_of(
        {
            "exports": {
                "A": {"type": "durable-object", "storage": "sqlite"},
                "B": {"type": "durable-object", "state": "deleted"},
                "C": {"type": "durable-object", "state": "renamed", "renamed_to": "A"},
                "D": {"type": "durable-object", "state": "created", "storage": "legacy-kv"},
            }
        }
    )
    assert project.declared.exports == (
        Export("A", at=("exports", "A")),
        Export("B", "deleted", at=("exports", "B")),
        Export("C", "renamed", renamed_to="A", at=("exports", "C")),
        Export("D", storage="legacy-kv", at=("exports", "D")),
    )


@pytest.mark.rows("MIG-12", "MIG-14")
@pytest.mark.parametrize(
    ("entry", "code", "pointed"),
    [
        ({"storage": "sqlite"}, "config/missing-key", None),
        ({"type": "worker", "storage": "sqlite"}, "config/invalid-export", '"worker"'),
        ({"type": "durable-object"}, "config/missing-key", None),
        ({"type": "durable-object", "storage": "sqlit"}, "config/invalid-export", '"sqlit"'),
        ({"type": "durable-object", "state": "gone"}, "config/invalid-export", '"gone"'),
        ({"type": "durable-object", "state": "renamed"}, "config/missing-key", None),
        (
            {"type": "durable-object", "state": "renamed", "renamed_to": "Nobody"},
            "config/invalid-export",
            '"Nobody"',
        ),
        ({"type": "durable-object", "state": "renamed", "renamed_to": "A"}, "config/invalid-export", '"A"'),
        (
            {"type": "durable-object", "state": "deleted", "storage": "sqlite"},
            "config/invalid-export",
            '"storage"',
        ),
        (
            {"type": "durable-object", "storage": "sqlite", "renamed_to": "B"},
            "config/invalid-export",
            '"renamed_to"',
        ),
        (
            {"type": "durable-object", "state": "transferred", "transferred_to": "x"},
            "config/transfer",
            '"transferred"',
        ),
        (
            {
                "type": "durable-object",
                "state": "expecting-transfer",
                "storage": "sqlite",
                "transfer_from": "x",
            },
            "config/transfer",
            '"expecting-transfer"',
        ),
    ],
)
def test_an_entry_of_exports_has_the_fields_of_its_state_and_no_others(entry, code, pointed):
    """Each mistake with its place."""
    problem = problem_of({"exports": {"A": entry}})
    assert problem.code == code
    if pointed is not None:
        assert pointed_at(problem) == pointed


@pytest.mark.rows("MIG-14")
def test_an_entry_of_exports_is_named_like_a_class():
    """Anything else can never be in the code."""
    problem = problem_of({"exports": {"not a name": {"type": "durable-object", "storage": "sqlite"}}})
    assert problem.code == "config/invalid-export"
    assert pointed_at(problem) == '"not a name"'


@pytest.mark.rows("MIG-11")
def test_exports_and_migrations_exclude_each_other():
    """One way to say what happens to classes."""
    problem = problem_of(
        {
            "exports": {"A": {"type": "durable-object", "storage": "sqlite"}},
            "migrations": [{"tag": "v1", "new_sqlite_classes": ["A"]}],
        }
    )
    assert problem.code == "config/migrations-and-exports"


def test_an_unknown_key_is_a_warning_with_the_nearest_known_one():
    """The rest of the file counts all the same."""
    problem = problem_of({"compat_date": "2026-01-01"})
    assert (problem.severity, problem.code) == ("warning", "config/unknown-key")
    assert problem.hint == 'did you mean "compatibility_date"?'
    assert pointed_at(problem) == '"compat_date"'


def test_an_unknown_key_in_a_table_is_told_with_its_whole_name():
    """Of bindings, migrations, exports and assets too."""
    project, problems = read(
        {
            "durable_objects": {"bindings": [{"name": "A", "class_name": "A", "classname": "A"}], "x": 1},
            "migrations": [{"tag": "v1", "new_sqlite_clases": ["A"]}],
            "assets": {"directory": "public", "dir": "x"},
        }
    )
    assert [problem.message.split('"')[1] for problem in problems] == [
        "durable_objects.x",
        "durable_objects.bindings[0].classname",
        "assets.dir",
        "migrations[0].new_sqlite_clases",
    ]
    assert len(project.warnings) == 4


def test_other_keys_of_cloudflare_are_told_once():
    """The file stays usable for both; one line says what Perdure leaves out."""
    problem = problem_of(
        {
            "route": "x",
            "ai": {},
            "observability": {},
        }
    )
    assert problem.severity == "warning"
    assert problem.message == ('"route", "observability" and "ai" are not used by Perdure')


def test_no_key_is_both_used_and_unused():
    """The tables are apart."""
    assert not set(KEYS) & set(UNUSED_KEYS)
    assert not set(HOSTED) & {*KEYS, *UNUSED_KEYS}


def test_kv_namespaces_are_resources():
    """With the id that other projects' bindings may have too; without one the binding is the id."""
    table = {"kv_namespaces": [{"binding": "A", "id": "f00", "preview_id": "x"}, {"binding": "B"}]}
    assert project_of(table).resources == (
        Resource("kv_namespaces", "A", "f00", ("kv_namespaces", 0)),
        Resource("kv_namespaces", "B", "B", ("kv_namespaces", 1)),
    )


def test_kv_namespaces_do_not_reach_environments():
    """As no binding does."""
    table = {
        "kv_namespaces": [{"binding": "A"}],
        "env": {"a": {}, "b": {"kv_namespaces": [{"binding": "B"}]}},
    }
    assert problem_of(table, environment="a").code == "config/not-inherited"
    assert project_of(table, environment="b").names_in_env == ("B",)


def test_d1_databases_are_resources():
    """With the id that Cloudflare's tool uses locally, and what migrations need; paths stay as they are written."""
    table = {
        "d1_databases": [
            {"binding": "A", "database_name": "shop", "database_id": "f00", "migrations_dir": "sql/up"},
            {"binding": "B", "database_id": "f00", "preview_database_id": "f01", "migrations_table": "done"},
            {"binding": "C", "remote": False},
        ]
    }
    assert project_of(table).resources == (
        D1Resource("d1_databases", "A", "f00", ("d1_databases", 0), "shop", "sql/up", "d1_migrations"),
        D1Resource("d1_databases", "B", "f01", ("d1_databases", 1), "B", "migrations", "done"),
        D1Resource("d1_databases", "C", "C", ("d1_databases", 2), "C", "migrations", "d1_migrations"),
    )


@pytest.mark.parametrize(
    ("entry", "code", "pointed"),
    [
        ({"database_id": "x"}, "config/missing-key", "{"),
        ({"binding": "DB", "database_id": 5}, "config/wrong-type", "5"),
        ({"binding": "DB", "migrations": "x"}, "config/unknown-key", '"migrations"'),
        ({"binding": "AUTH"}, "config/duplicate-binding", '"AUTH"'),
    ],
)
def test_a_wrong_database_is_told_at_its_place(entry, code, pointed):
    """In the one form."""
    problem = problem_of({"services": [AUTH], "d1_databases": [entry]})
    assert problem.code == code
    assert pointed_at(problem) == pointed


@pytest.mark.parametrize(
    ("entry", "code", "pointed"),
    [
        ({"id": "x"}, "config/missing-key", "{"),
        ({"binding": 5}, "config/wrong-type", "5"),
        ({"binding": "KV", "id": 5}, "config/wrong-type", "5"),
        ({"binding": "KV", "id": ""}, "config/wrong-type", '""'),
        ({"binding": "KV", "ids": "x"}, "config/unknown-key", '"ids"'),
        ({"binding": "AUTH"}, "config/duplicate-binding", '"AUTH"'),
        ("KV", "config/wrong-type", '"KV"'),
    ],
)
def test_a_wrong_namespace_is_told_at_its_place(entry, code, pointed):
    """Names, ids, and what is no table."""
    problem = problem_of({"services": [AUTH], "kv_namespaces": [entry]})
    assert problem.code == code
    assert pointed_at(problem) == pointed


def test_a_variable_is_not_called_as_a_namespace():
    """Env can hold one of them."""
    problem = problem_of({"kv_namespaces": [{"binding": "A"}], "vars": {"A": "1"}})
    assert problem.code == "config/duplicate-binding"


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ({"ai": {"binding": "X"}}, ["X"]),
        ({"r2_buckets": [{"binding": "X", "bucket_name": "b"}, {"binding": "Y"}]}, ["X", "Y"]),
        ({"queues": {"producers": [{"binding": "X", "queue": "q"}], "consumers": [{"queue": "q"}]}}, ["X"]),
        ({"send_email": [{"name": "X"}]}, ["X"]),
        ({"workflows": [{"binding": "X", "name": "flow", "class_name": "Flow"}]}, ["X"]),
        ({"unsafe": {"bindings": [{"name": "X", "type": "t"}]}}, ["X"]),
    ],
)
def test_what_only_cloudflare_has_is_absent(table, names):
    """Whatever form its key has; the start is warned, once for all of them."""
    problem = problem_of(table)
    assert (problem.code, problem.severity) == ("config/hosted", "warning")
    assert [one.name for one in project_of(table).hosted] == names


def test_assets_are_read_with_all_their_keys():
    """Paths are relative to the configuration."""
    table = {
        "directory": "public",
        "binding": "ASSETS",
        "run_worker_first": ["/api/*", "!/api/docs/*"],
        "html_handling": "none",
        "not_found_handling": "404-page",
    }
    project = project_of({"assets": table})
    assert project.assets == Assets(
        ROOT / "public", "ASSETS", ("/api/*", "!/api/docs/*"), "none", "404-page", prefers_navigations=True
    )
    assert project.names_in_env == ("ASSETS",)
    assert project_of({"assets": {"directory": "x"}}).assets == Assets(ROOT / "x")


@pytest.mark.parametrize(
    ("more", "prefers"),
    [
        ({}, True),
        ({"compatibility_date": "2025-03-31"}, False),
        ({"compatibility_date": "2025-04-01"}, True),
        (
            {
                "compatibility_date": "2025-03-31",
                "compatibility_flags": ["assets_navigation_prefers_asset_serving"],
            },
            True,
        ),
        ({"compatibility_flags": ["assets_navigation_has_no_effect"]}, False),
    ],
)
def test_navigations_are_as_the_compatibility_date_says(more, prefers):
    """Or its flags."""
    assert project_of({"assets": {"directory": "x"}, **more}).assets.prefers_navigations is prefers


@pytest.mark.parametrize(
    ("assets", "code", "pointed"),
    [
        ({}, "config/missing-key", "{}"),
        ({"directory": 5}, "config/wrong-type", "5"),
        ({"directory": "x", "binding": "AUTH"}, "config/duplicate-binding", '"AUTH"'),
        ({"directory": "x", "html_handling": "auto"}, "config/invalid-assets", '"auto"'),
        ({"directory": "x", "not_found_handling": "404"}, "config/invalid-assets", '"404"'),
        ({"directory": "x", "run_worker_first": "yes"}, "config/wrong-type", '"yes"'),
        ({"directory": "x", "run_worker_first": [5]}, "config/wrong-type", "5"),
        ({"directory": "x", "run_worker_first": ["/a", "b"]}, "config/invalid-assets", '"b"'),
        ({"directory": "x", "run_worker_first": ["!/a"]}, "config/invalid-assets", "["),
    ],
)
def test_wrong_assets_are_told_at_their_place(assets, code, pointed):
    """With the values there are."""
    problem = problem_of({"services": [AUTH], "assets": assets})
    assert (problem.code, problem.severity) == (code, "error")
    assert pointed_at(problem) == pointed


@pytest.mark.parametrize("key", sorted(HOSTED))
@pytest.mark.parametrize("value", [None, [], {}, "x", [5], {"binding": 5}, [{"binding": ""}]])
def test_what_binds_nothing_is_not_used(key, value):
    """No form of these keys stops a start."""
    problem = problem_of({key: value})
    assert (problem.code, problem.severity) == ("config/not-used", "warning")


def test_the_schema_key_of_editors_is_fine():
    """`$schema` is for them."""
    assert project_of({"$schema": "node_modules/wrangler/config-schema.json"}).warnings == ()


STAGED = {
    "vars": {"A": "top"},
    "compatibility_flags": ["x"],
    "durable_objects": {"bindings": [{"name": "R", "class_name": "Room"}]},
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Room"]}],
    "env": {
        "staging": {
            "vars": {"B": "s"},
            "durable_objects": {"bindings": [{"name": "S", "class_name": "Room"}]},
        },
        "bare": {"name": "other", "migrations": [{"tag": "e1", "new_sqlite_classes": ["Room"]}]},
    },
}


@pytest.mark.rows("MIG-01", "MIG-09")
def test_an_environment_has_its_own_bindings_and_variables_and_inherits_the_rest():
    """It runs under a name of its own, so its objects are others."""
    project = project_of(STAGED, environment="staging")
    assert project.name == "shop-staging"
    assert [binding.name for binding in project.bindings] == ["S"]
    assert project.vars == {"B": "s"}
    assert project.compatibility_flags == ("x",)
    assert [migration.tag for migration in project.declared.migrations] == ["v1"]
    assert project.default_data == ROOT / ".perdure-staging"


@pytest.mark.rows("MIG-09")
def test_migrations_of_an_environment_override_those_of_the_top_level():
    """And so does its name."""
    project, problems = read(STAGED, environment="bare")
    assert project.name == "other"
    assert [migration.tag for migration in project.declared.migrations] == ["e1"]
    assert project.bindings == ()
    assert [problem.code for problem in problems] == ["config/not-inherited", "config/not-inherited"]


@pytest.mark.rows("MIG-09")
def test_an_unknown_environment_is_told_with_the_nearest():
    """And with all there are."""
    _, problems = read(STAGED, environment="stagin")
    assert problems[0].code == "config/unknown-environment"
    assert problems[0].hint == 'did you mean "staging"?'


def test_the_same_keys_are_read_from_toml():
    """Below `[tool.perdure]` of a pyproject too."""
    value, source = toml.parse(
        '[tool.perdure]\nmain = "app.py"\nname = "shop"\ncompatibility_date = 2026-11-01\n'
        '[[tool.perdure.durable_objects.bindings]]\nname = "ROOM"\nclass_name = 3\n',
        "pyproject.toml",
    )
    project, (problem,) = read_project(value["tool"]["perdure"], source, ROOT, at=("tool", "perdure"))
    assert project.compatibility_date == "2026-11-01"
    assert (problem.line, pointed_at(problem)) == (7, "3")


# --- services -------------------------------------------------------------------------------------------

AUTH = {"binding": "AUTH", "service": "shop", "entrypoint": "Auth"}


@pytest.mark.rows("EP-09")
def test_a_service_names_a_worker_class_and_its_props():
    """Without an entrypoint it is `Default`."""
    admin = {"binding": "SELF", "service": "shop", "props": {"role": "admin"}}
    project = project_of({"services": [AUTH, admin]})
    assert project.services == (
        Service("AUTH", "Auth", {}, ("services", 0)),
        Service("SELF", "Default", {"role": "admin"}, ("services", 1)),
    )
    assert project.names_in_env == ("AUTH", "SELF")


@pytest.mark.rows("EP-10")
def test_a_service_of_another_project_is_absent():
    """A process runs one project: it starts, and what is not here is told."""
    problem = problem_of({"services": [{**AUTH, "service": "billing"}]})
    assert (problem.code, problem.severity) == ("config/other-service", "warning")
    project = project_of({"services": [{**AUTH, "service": "billing"}]})
    assert project.services == ()
    assert [(one.name, one.what) for one in project.hosted] == [
        ("AUTH", 'a worker of another project, "billing"')
    ]
    assert problem.hint == 'this project is called "shop"'
    assert pointed_at(problem) == '"billing"'


def test_a_service_needs_a_binding_and_a_service():
    """Each is told."""
    _, problems = read({"services": [{"entrypoint": "Auth"}]})
    assert [problem.message.split(" ")[0] for problem in problems] == ['"binding"', '"service"']


@pytest.mark.parametrize(
    "table",
    [
        {"services": [AUTH, AUTH]},
        {"services": [AUTH], "vars": {"AUTH": 1}},
        {
            "services": [AUTH],
            "durable_objects": {"bindings": [{"name": "AUTH", "class_name": "Room"}]},
        },
    ],
)
def test_a_service_has_a_name_of_its_own(table):
    """Not that of another service, of a variable, or of an object's class."""
    assert problem_of(table).code == "config/duplicate-binding"


@pytest.mark.rows("MIG-09")
def test_services_do_not_reach_an_environment():
    """As objects do not."""
    project, problems = read({"services": [AUTH], "env": {"staging": {}}}, environment="staging")
    assert project.services == ()
    assert [problem.code for problem in problems] == ["config/not-inherited"]


@pytest.mark.rows("MIG-09")
def test_a_service_of_an_environment_names_the_project_as_it_is_called_there():
    """So does Cloudflare's tool."""
    own = {"staging": {"services": [{**AUTH, "service": "shop-staging"}]}}
    project, _ = read({"env": own}, environment="staging")
    assert [service.name for service in project.services] == ["AUTH"]


INNER = st.sampled_from(
    "name class_name bindings tag new_classes new_sqlite_classes renamed_classes deleted_classes from to crons binding service A B v1 *".split()
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | INNER,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(INNER | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.fuzz
@given(
    st.dictionaries(st.sampled_from([*KEYS, *UNUSED_KEYS, *HOSTED, "$schema", "x"]), VALUES, max_size=6),
    st.sampled_from([None, "A"]),
)
def test_whatever_a_file_says_the_answer_is_a_project_and_problems(table, environment):
    """Values of any type in any place: nothing is raised, and each problem stands in the file."""
    text = json.dumps(table, indent=1)
    value, source, _ = jsonc.parse(text, "wrangler.jsonc")
    _, problems = read_project(value, source, ROOT, environment=environment)
    assert all(problem.line is None or problem.line <= text.count("\n") + 1 for problem in problems)
