"""A session: catalogs, names, statements, functions, configuration."""

from __future__ import annotations

import pytest

from tableapi import (
    CatalogDescriptor,
    Configuration,
    DataTypes,
    EnvironmentSettings,
    FormatDescriptor,
    JobStatus,
    ModelDescriptor,
    ObjectPath,
    ResultKind,
    Schema,
    TableDescriptor,
    TableEnvironment,
)
from tableapi.catalog import Catalog, CatalogBaseTable, CatalogDatabase
from tableapi.errors import AlreadyExistsError, OptionError, UnknownNameError, UnsupportedError, ValidationError
from tableapi.expressions import col
from tableapi.udf import udf


def values(result):
    return [list(r) for r in result.collect()]


def blackhole(*columns):
    schema = Schema.new_builder()
    for name, data_type in columns:
        schema.column(name, data_type)
    return TableDescriptor.for_connector("blackhole").schema(schema.build()).build()


def test_definitions_give_ok(batch):
    result = batch.execute_sql("CREATE TEMPORARY VIEW v AS SELECT 1 AS a")
    assert result.get_result_kind() == ResultKind.SUCCESS
    assert result.get_job_client() is None
    assert values(result) == [["OK"]]
    assert batch.execute_sql("SHOW TABLES").get_result_kind() == ResultKind.SUCCESS_WITH_CONTENT


def test_names_and_databases(batch):
    assert (batch.get_current_catalog(), batch.get_current_database()) == ("default_catalog", "default_database")
    batch.execute_sql("CREATE DATABASE db1")
    batch.execute_sql("CREATE TABLE db1.t (a INT) WITH ('connector' = 'blackhole')")
    assert batch.list_tables() == []
    batch.use_database("db1")
    assert batch.list_tables() == ["t"]
    assert batch.from_path("default_catalog.db1.t").get_resolved_schema().get_column_names() == ["a"]
    with pytest.raises(ValidationError, match="in use"):
        batch.execute_sql("DROP DATABASE db1")
    batch.execute_sql("USE default_database")
    with pytest.raises(ValidationError, match="not empty"):
        batch.execute_sql("DROP DATABASE db1 RESTRICT")
    batch.execute_sql("DROP DATABASE db1 CASCADE")
    assert batch.list_databases() == ["default_database"]
    with pytest.raises(UnknownNameError):
        batch.use_database("nope")


def test_catalogs(batch):
    batch.create_catalog("c1", CatalogDescriptor.of("c1", Configuration().set_string("type", "generic_in_memory")))
    batch.register_catalog("c2", Catalog("c2", "main"))
    assert batch.list_catalogs() == ["c1", "c2", "default_catalog"]
    batch.execute_sql("CREATE CATALOG c3 WITH ('type' = 'generic_in_memory', 'default-database' = 'd')")
    batch.use_catalog("c3")
    assert batch.get_current_database() == "d"
    with pytest.raises(ValidationError, match="in use"):
        batch.execute_sql("DROP CATALOG c3")
    batch.use_catalog("c2")
    batch.execute_sql("DROP CATALOG c3")
    with pytest.raises(UnsupportedError):
        batch.execute_sql("CREATE CATALOG h WITH ('type' = 'hive')")


def test_temporary_objects_shadow_permanent_ones(batch, rows):
    batch.create_view("v", batch.sql_query("SELECT 1 AS a"))
    batch.create_temporary_view("v", batch.sql_query("SELECT 2 AS a"))
    assert rows(batch.from_path("v")) == [(2,)]
    with pytest.raises(ValidationError, match="temporary"):
        batch.execute_sql("DROP VIEW v")
    assert batch.drop_temporary_view("v")
    assert rows(batch.from_path("v")) == [(1,)]
    assert batch.drop_view("v")
    assert not batch.drop_view("v")
    assert not batch.drop_temporary_view("v")
    with pytest.raises(UnknownNameError):
        batch.drop_view("v", ignore_if_not_exists=False)


def test_listing_views_and_tables(batch):
    batch.create_table("t", blackhole(("a", "INT")))
    batch.create_temporary_table("tt", blackhole(("a", "INT")))
    batch.create_temporary_view("v", batch.from_path("t"))
    assert batch.list_tables() == ["t", "tt", "v"]
    assert batch.list_views() == ["v"]
    assert batch.list_temporary_tables() == ["tt", "v"]
    assert batch.list_temporary_views() == ["v"]
    assert batch.drop_temporary_table("tt")
    assert batch.drop_table("t")
    batch.create_table("x", blackhole(("a", "INT")))
    batch.create_table("x", blackhole(("a", "INT")), True)
    with pytest.raises(AlreadyExistsError):
        batch.create_table("x", blackhole(("a", "INT")))


def test_names_that_need_quotes(batch, rows):
    batch.create_temporary_view("`a.b`", batch.sql_query("SELECT 1 AS a"))
    assert batch.list_views() == ["a.b"]
    assert rows(batch.from_path("`a.b`")) == [(1,)]
    assert rows(batch.sql_query("SELECT * FROM `a.b`")) == [(1,)]


def test_only_a_stream_describes_event_time(stream):
    stream.execute_sql("CREATE TABLE t (ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'blackhole')")
    assert values(stream.execute_sql("DESCRIBE t"))[0][1] == "TIMESTAMP(3) *ROWTIME*"


def test_show_and_describe(batch):
    batch.execute_sql(
        "CREATE TABLE t (id INT PRIMARY KEY NOT ENFORCED, v STRING COMMENT 'text', d AS id * 2, ts TIMESTAMP(3), "
        "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) COMMENT 'things' WITH ('connector' = 'blackhole')"
    )
    described = values(batch.execute_sql("DESCRIBE t"))
    assert described == [
        ["id", "INT", False, "PRI(id)", None, None, None],
        ["v", "STRING", True, None, None, None, "text"],
        ["d", "INT", False, None, "AS `id` * 2", None, None],
        ["ts", "TIMESTAMP(3)", True, None, None, "`ts` - INTERVAL '5' SECOND", None],
    ]
    assert [r[0] for r in values(batch.execute_sql("SHOW COLUMNS FROM t LIKE '%d'"))] == ["id", "d"]
    (created,) = values(batch.execute_sql("SHOW CREATE TABLE t"))
    assert created[0].splitlines() == [
        "CREATE TABLE `default_catalog`.`default_database`.`t` (",
        "  `id` INT NOT NULL,",
        "  `v` VARCHAR(2147483647) COMMENT 'text',",
        "  `d` AS `id` * 2,",
        "  `ts` TIMESTAMP(3),",
        "  WATERMARK FOR `ts` AS `ts` - INTERVAL '5' SECOND,",
        "  CONSTRAINT `PK_id` PRIMARY KEY (`id`) NOT ENFORCED",
        ")",
        "COMMENT 'things'",
        "WITH (",
        "  'connector' = 'blackhole'",
        ")",
    ]
    batch.execute_sql(
        "CREATE TABLE u WITH ('path' = '/x', 'format' = 'json', 'connector' = 'filesystem') LIKE t (EXCLUDING OPTIONS)"
    )
    (created,) = values(batch.execute_sql("SHOW CREATE TABLE u"))
    assert [line.split("'")[1] for line in created[0].splitlines()[-4:-1]] == ["connector", "format", "path"]
    batch.execute_sql("DROP TABLE u")
    batch.execute_sql("CREATE VIEW v AS SELECT id FROM t")
    assert "AS SELECT `t`.`id`" in values(batch.execute_sql("SHOW CREATE VIEW v"))[0][0]
    assert values(batch.execute_sql("SHOW TABLES")) == [["t"], ["v"]]
    assert values(batch.execute_sql("SHOW VIEWS")) == [["v"]]
    assert values(batch.execute_sql("SHOW TABLES LIKE 't%'")) == [["t"]]
    assert values(batch.execute_sql("SHOW CURRENT CATALOG")) == [["default_catalog"]]
    assert values(batch.execute_sql("SHOW CURRENT DATABASE")) == [["default_database"]]
    assert values(batch.execute_sql("SHOW CATALOGS")) == [["default_catalog"]]
    assert values(batch.execute_sql("SHOW FULL MODULES")) == [["core", True]]
    assert ["upper"] in values(batch.execute_sql("SHOW FUNCTIONS"))
    assert values(batch.execute_sql("SHOW USER FUNCTIONS")) == []
    assert "Scan(t" in values(batch.execute_sql("EXPLAIN SELECT id FROM t"))[0][0]


def test_what_was_shown_creates_the_same_table(batch):
    batch.execute_sql(
        "CREATE TABLE t (id INT PRIMARY KEY NOT ENFORCED, n DECIMAL(10, 2), b AS CASE WHEN id > 1 THEN 'x' ELSE 'y' END, "
        "w TIMESTAMP_LTZ(3), m INT METADATA FROM 'k' VIRTUAL, WATERMARK FOR w AS w - INTERVAL '1' MINUTE) "
        "PARTITIONED BY (id) WITH ('connector' = 'blackhole')"
    )
    (created,) = values(batch.execute_sql("SHOW CREATE TABLE t"))
    batch.execute_sql("DROP TABLE t")
    batch.execute_sql(created[0])
    assert values(batch.execute_sql("SHOW CREATE TABLE t"))[0] == created


def test_alter(batch):
    batch.execute_sql("CREATE TABLE t (a INT) WITH ('connector' = 'blackhole')")
    batch.execute_sql("ALTER TABLE t ADD b STRING")
    assert batch.from_path("t").get_resolved_schema().get_column_names() == ["a", "b"]
    batch.execute_sql("ALTER TABLE t RENAME TO u")
    assert batch.list_tables() == ["u"]
    batch.execute_sql("ALTER DATABASE default_database SET ('k' = 'v')")
    assert batch.get_catalog("default_catalog").get_database("default_database").get_properties() == {"k": "v"}


def test_client_statements_are_refused_with_a_hint(batch):
    with pytest.raises(UnsupportedError, match="get_config"):
        batch.execute_sql("SET 'parallelism.default' = '2'")
    with pytest.raises(ValidationError, match="execute_sql"):
        batch.sql_query("SHOW TABLES")


def test_functions(batch, rows):
    shout = udf(lambda s: s + "!", result_type="STRING", name="shout")
    batch.create_temporary_system_function("shout", shout)
    batch.create_temporary_function("db_shout", shout)
    t = batch.from_elements([("a",)], ["s"])
    batch.create_temporary_view("t", t)
    from tableapi.expressions import call

    assert rows(t.select(call("shout", col("s")))) == [("a!",)]
    assert rows(batch.sql_query("SELECT SHOUT(s), db_shout(s) FROM t")) == [("a!", "a!")]
    assert batch.list_user_defined_functions() == ["db_shout", "shout"]
    assert "shout" in batch.list_functions()
    with pytest.raises(AlreadyExistsError):
        batch.create_temporary_function("db_shout", shout)
    assert batch.drop_temporary_system_function("shout")
    assert not batch.drop_temporary_system_function("shout")
    assert batch.drop_temporary_function("db_shout")
    with pytest.raises(UnsupportedError, match="Java"):
        batch.create_java_function("f", "org.example.F")


def test_functions_of_a_module(batch, rows, tmp_path):
    (tmp_path / "my_functions.py").write_text(
        "from tableapi.udf import udf\n@udf(result_type='BIGINT')\ndef twice(x):\n    return x * 2\n"
    )
    batch.add_python_file(str(tmp_path / "my_functions.py"))
    batch.execute_sql("CREATE TEMPORARY FUNCTION twice AS 'my_functions.twice' LANGUAGE PYTHON")
    batch.execute_sql("CREATE FUNCTION later AS 'my_functions.twice' LANGUAGE PYTHON")
    assert rows(batch.sql_query("SELECT twice(4), later(5)")) == [(8, 10)]
    with pytest.raises(UnknownNameError, match="no_module"):
        batch.execute_sql("CREATE TEMPORARY FUNCTION f AS 'no_module.f' LANGUAGE PYTHON")
    assert values(batch.execute_sql("DESCRIBE FUNCTION twice"))[0] == ["is system function", "false"]


def test_models_are_kept(batch):
    descriptor = ModelDescriptor.for_provider("openai").option("task", "chat").build()
    batch.create_model("m", descriptor)
    batch.create_temporary_model("tm", descriptor)
    assert batch.list_models() == ["m", "tm"]
    assert batch.list_temporary_models() == ["tm"]
    assert batch.drop_model("m")
    assert batch.drop_temporary_model("tm")
    assert not batch.drop_model("m")


def test_modules(batch):
    assert batch.list_modules() == ["core"]
    assert [(m.name(), m.used()) for m in batch.list_full_modules()] == [("core", True)]
    with pytest.raises(UnknownNameError):
        batch.use_modules("hive")


def test_catalog_objects(batch):
    catalog = batch.get_catalog("default_catalog")
    path = ObjectPath("default_database", "t")
    schema = Schema.new_builder().column("a", "INT").build()
    catalog.create_table(path, CatalogBaseTable.create_table(schema, [], {"connector": "blackhole"}, "c"), False)
    assert catalog.table_exists(path)
    assert batch.list_tables() == ["t"]
    assert catalog.get_table(path).get_options() == {"connector": "blackhole"}
    assert catalog.get_table(path).get_unresolved_schema() == schema
    catalog.rename_table(path, "u", False)
    assert catalog.list_tables("default_database") == ["u"]
    catalog.drop_table(ObjectPath("default_database", "u"), False)
    with pytest.raises(UnknownNameError):
        catalog.drop_table(path, False)
    catalog.drop_table(path, True)
    catalog.create_database("d", CatalogDatabase.create_instance({"x": "y"}, "hello"), False)
    assert catalog.get_database("d").get_comment() == "hello"
    assert batch.get_catalog("nope") is None


def test_descriptors():
    schema = Schema.new_builder().column("a", "INT").build()
    descriptor = (
        TableDescriptor.for_connector("filesystem")
        .schema(schema)
        .option("path", "/x")
        .format(FormatDescriptor.for_format("json").option("ignore-parse-errors", True).build())
        .partitioned_by("a")
        .comment("c")
        .build()
    )
    assert descriptor.get_options() == {
        "connector": "filesystem",
        "path": "/x",
        "format": "json",
        "json.ignore-parse-errors": "true",
    }
    assert descriptor.get_partition_keys() == ["a"]
    assert descriptor.get_comment() == "c"
    assert descriptor.get_schema() == schema


def test_schema_builder():
    built = (
        Schema.new_builder()
        .column("id", DataTypes.INT().not_null())
        .column("ts", "TIMESTAMP(3)")
        .column_by_expression("double", "id * 2")
        .column_by_expression("half", col("id") / 2)
        .column_by_metadata("m", "BIGINT", "key", True)
        .watermark("ts", "ts - INTERVAL '5' SECOND")
        .primary_key("id")
        .build()
    )
    assert str(built).splitlines() == [
        "(",
        "  `id` INT NOT NULL,",
        "  `ts` TIMESTAMP(3),",
        "  `double` AS `id` * 2,",
        "  `half` AS `id` / 2,",
        "  `m` BIGINT METADATA FROM 'key' VIRTUAL,",
        "  WATERMARK FOR `ts` AS `ts` - INTERVAL '5' SECOND,",
        "  CONSTRAINT `PK_id` PRIMARY KEY (`id`) NOT ENFORCED",
        ")",
    ]
    assert Schema.new_builder().from_schema(built).build() == built
    row = DataTypes.ROW([DataTypes.FIELD("a", DataTypes.INT())])
    assert Schema.new_builder().from_row_data_type(row).build() == Schema.new_builder().column("a", "INT").build()
    with pytest.raises(AlreadyExistsError):
        Schema.new_builder().column("a", "INT").column("a", "INT")


def test_resolved_schema_of_a_table(batch):
    batch.execute_sql(
        "CREATE TABLE t (id INT PRIMARY KEY NOT ENFORCED, d AS id * 2, ts TIMESTAMP(3), "
        "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'blackhole')"
    )
    schema = batch.from_path("t").get_resolved_schema()
    assert str(schema).splitlines() == [
        "(",
        "  `id` INT NOT NULL,",
        "  `d` INT NOT NULL AS `id` * 2,",
        "  `ts` TIMESTAMP(3) *ROWTIME*,",
        "  WATERMARK FOR `ts`: TIMESTAMP(3) AS `ts` - INTERVAL '5' SECOND,",
        "  CONSTRAINT `PK_id` PRIMARY KEY (`id`) NOT ENFORCED",
        ")",
    ]
    assert schema.get_primary_key_indexes() == [0]
    assert (
        schema.to_sink_row_data_type()
        == DataTypes.ROW(
            [DataTypes.FIELD("id", DataTypes.INT().not_null()), DataTypes.FIELD("ts", DataTypes.TIMESTAMP(3))]
        ).not_null()
    )
    assert not schema.get_column("d").is_physical()


def test_configuration():
    config = Configuration.from_dict({"parallelism.default": "3", "table.exec.state.ttl": "1 h"})
    env = TableEnvironment.create(EnvironmentSettings.new_instance().in_batch_mode().with_configuration(config).build())
    assert env.get_config().get("parallelism.default", "1") == "3"
    assert env.get_config().get_idle_state_retention().total_seconds() == 3600
    env.get_config().set_local_timezone("Asia/Kolkata")
    assert env.get_config().get_local_timezone() == "Asia/Kolkata"
    with pytest.raises(OptionError, match="did you mean 'Europe/Berlin'"):
        env.get_config().set_local_timezone("Europe/Berln")
    with pytest.raises(OptionError, match=r"did you mean 'pipeline\.name'"):
        env.get_config().set("pipeline.nam", "x")
    env.get_config().set("my.own.key", "x")
    assert env.get_config().get("my.own.key", None) == "x"
    settings = EnvironmentSettings.new_instance().with_built_in_catalog_name("c").with_built_in_database_name("d").build()
    assert TableEnvironment.create(settings).get_current_catalog() == "c"
    assert settings.is_streaming_mode()


def test_inserts_and_statement_sets(env, rows, tmp_path):
    for name in ("t1", "t2"):
        env.execute_sql(
            f"CREATE TABLE {name} (a BIGINT) WITH ('connector' = 'filesystem', 'path' = '{tmp_path / name}', 'format' = 'csv')"
        )
    t = env.from_elements([(1,), (2,)], ["a"])
    result = t.execute_insert("t1")
    result.wait()
    assert result.get_resolved_schema().get_column_names() == ["default_catalog.default_database.t1"]
    assert [list(r) for r in result.collect()] == [[-1]]
    assert result.get_job_client().get_job_status().result() is JobStatus.FINISHED
    assert rows(env.from_path("t1")) == [(1,), (2,)]
    both = env.create_statement_set()
    both.add_insert("t1", t.select(col("a") + 10)).add_insert_sql("INSERT INTO t2 SELECT a FROM t1 WHERE a < 3")
    both.add(t.insert_into("t2"))
    assert "Sink" in both.explain()
    headings = [line for line in both.explain().splitlines() if line.startswith("==")]
    assert headings == ["== Abstract Syntax Tree ==", "== Optimized Physical Plan ==", "== Optimized Execution Plan =="]
    both.execute().wait()
    assert rows(env.from_path("t1")) == [(1,), (11,), (12,), (2,)]
    with pytest.raises(ValidationError, match="empty"):
        both.execute()
    pipeline = t.insert_into("t2")
    assert pipeline.get_sink_identifier().as_summary_string() == "default_catalog.default_database.t2"
    assert t.insert_into(blackhole(("a", "BIGINT"))).get_sink_identifier() is None
    env.execute_sql("EXECUTE STATEMENT SET BEGIN INSERT INTO t1 SELECT 20; INSERT INTO t2 SELECT 20; END").wait()
    assert (20,) in rows(env.from_path("t2"))


def test_create_table_as(env, rows, tmp_path):
    env.execute_sql(
        f"CREATE TABLE c WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json') AS SELECT 1 AS a, 'x' AS b"
    ).wait()
    assert rows(env.from_path("c")) == [(1, "x")]
