"""The catalogs of a session: current names, temporary objects, and the look-ups that planning needs.

Implements `sql.catalog_reader.CatalogReader`. May import catalog, tablespec and errors; never runtime or connectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tableapi.catalog import Catalog, check_catalog_options, unknown
from tableapi.catalog_objects import CatalogDescriptor, CatalogFunction, CatalogModel, ObjectPath
from tableapi.errors import AlreadyExistsError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.sql.catalog_reader import ViewSpec
from tableapi.tablespec import ObjectIdentifier, TableSpec

TableOrView = TableSpec | ViewSpec


def split_path(path: str) -> tuple[str, ...]:
    """The parts of a dotted name; a part in backquotes may hold points.

    Raises:
        ValidationError: The text is not a name of one to three parts.

    >>> split_path("db.`a.b`")
    ('db', 'a.b')
    """
    parts: list[str] = []
    rest = path.strip()
    while True:
        if rest.startswith("`"):
            end = rest.find("`", 1)
            while end != -1 and rest[end : end + 2] == "``":
                end = rest.find("`", end + 2)
            if end == -1:
                raise ValidationError(f"the name {path} has an open backquote")
            part, rest = rest[1:end].replace("``", "`"), rest[end + 1 :]
        else:
            part, point, tail = rest.partition(".")
            rest = point + tail
        parts.append(part)
        if not rest:
            break
        if not rest.startswith("."):
            raise ValidationError(f"'{path}' is not a name", fix="quote parts with backquotes")
        rest = rest[1:]
    if not all(parts) or len(parts) > 3:
        raise ValidationError(f"'{path}' is not a name", fix="write [catalog.][database.]name")
    return tuple(parts)


class CatalogManager:
    """Catalogs, current names and temporary objects of one session.

    Temporary tables and views shadow permanent ones and outlive the drop of their database (Flink).
    """

    def __init__(self, catalog_name: str, database_name: str) -> None:
        self.current_catalog, self.current_database = catalog_name, database_name
        self._catalogs: dict[str, Catalog] = {catalog_name: Catalog(catalog_name, database_name)}
        self._temporary: dict[ObjectIdentifier, TableOrView] = {}
        self._temporary_functions: dict[ObjectIdentifier, Any] = {}
        self._system_functions: dict[str, Any] = {}
        self._temporary_models: dict[ObjectIdentifier, CatalogModel] = {}

    def catalog(self, name: str | None = None) -> Catalog:
        """A catalog by name (None: the current one).

        Raises:
            UnknownNameError: There is none of that name.
        """
        found = self._catalogs.get(self.current_catalog if name is None else name)
        if found is None:
            raise unknown("catalog", str(name), self._catalogs)
        return found

    def list_catalogs(self) -> list[str]:
        """Names of the catalogs."""
        return sorted(self._catalogs)

    def register_catalog(self, name: str, catalog: Catalog) -> None:
        """Adds a catalog.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        if name in self._catalogs:
            raise AlreadyExistsError(f"catalog '{name}' exists already")
        catalog.name = name
        self._catalogs[name] = catalog

    def create_catalog(self, descriptor: CatalogDescriptor) -> None:
        """Creates a catalog of options; the type is `generic_in_memory`.

        Raises:
            UnsupportedError: The type is another one.
        """
        options = descriptor.configuration.to_dict()
        kind = options.get("type")
        if kind is None:
            raise ValidationError(f"catalog '{descriptor.catalog_name}' has no type", fix="'type' = 'generic_in_memory'")
        if kind != "generic_in_memory":
            raise UnsupportedError(f"catalogs of type '{kind}' are not supported", fix="'type' = 'generic_in_memory'")
        check_catalog_options(options)
        database = options.get("default-database", "default")
        self.register_catalog(descriptor.catalog_name, Catalog(descriptor.catalog_name, database, options, descriptor.comment))

    def drop_catalog(self, name: str, if_exists: bool) -> None:
        """Removes a catalog.

        Raises:
            UnknownNameError: There is none of that name.
            ValidationError: It is the current one.
        """
        if name not in self._catalogs:
            if if_exists:
                return
            raise unknown("catalog", name, self._catalogs)
        if name == self.current_catalog:
            raise ValidationError(f"catalog '{name}' is in use", fix="USE CATALOG another one first")
        del self._catalogs[name]

    def use_catalog(self, name: str) -> None:
        """Makes a catalog, and its default database, the current ones."""
        self.current_database = self.catalog(name).get_default_database()
        self.current_catalog = name

    def use_database(self, name: str, catalog: str | None = None) -> None:
        """Makes a database the current one."""
        self.catalog(catalog).database(name)
        self.current_catalog, self.current_database = catalog or self.current_catalog, name

    def qualify(self, parts: Sequence[str]) -> ObjectIdentifier:
        """The full name of a one-, two- or three-part name."""
        match tuple(parts):
            case (name,):
                return ObjectIdentifier(self.current_catalog, self.current_database, name)
            case (database, name):
                return ObjectIdentifier(self.current_catalog, database, name)
            case (catalog, database, name):
                return ObjectIdentifier(catalog, database, name)
        raise ValidationError(f"'{'.'.join(parts)}' is not a name", fix="write [catalog.][database.]name")

    def parse(self, path: str) -> ObjectIdentifier:
        """The full name of a dotted text."""
        return self.qualify(split_path(path))

    def find_table(self, identifier: ObjectIdentifier) -> TableOrView | None:
        """The table or view of that name (a temporary one first), or None."""
        return self._temporary.get(identifier) or self._permanent(identifier)

    def _permanent(self, identifier: ObjectIdentifier) -> TableOrView | None:
        catalog = self._catalogs.get(identifier.catalog)
        database = catalog.find_database(identifier.database) if catalog else None
        return database.tables.get(identifier.name) if database else None

    def table(self, identifier: ObjectIdentifier) -> TableOrView:
        """The table or view of that name.

        Raises:
            UnknownNameError: There is none.
        """
        found = self.find_table(identifier)
        if found is not None:
            return found
        names = list(self.table_names())
        raise UnknownNameError(
            f"table '{identifier.as_summary_string()}' does not exist",
            exists=f"tables: {', '.join(names) or 'none'}",
            fix=did_you_mean(identifier.name, names),
        )

    def is_temporary(self, identifier: ObjectIdentifier) -> bool:
        """Whether the name means a temporary table or view."""
        return identifier in self._temporary

    def table_names(self) -> Iterable[str]:
        """Names of the tables and views of the current database, temporary ones too."""
        return self.list_tables()

    def list_tables(self, catalog: str | None = None, database: str | None = None) -> list[str]:
        """Names of tables and views, sorted."""
        return sorted(name for name, _ in self._visible(catalog, database))

    def list_views(self, catalog: str | None = None, database: str | None = None) -> list[str]:
        """Names of views, sorted."""
        return sorted(name for name, table in self._visible(catalog, database) if isinstance(table, ViewSpec))

    def list_temporary(self, *, views: bool | None = None) -> list[str]:
        """Names of temporary tables and views of the current database, sorted; with `views` True only views."""
        return sorted(
            i.name
            for i, table in self._temporary.items()
            if (i.catalog, i.database) == (self.current_catalog, self.current_database)
            and (views is None or isinstance(table, ViewSpec) == views)
        )

    def _visible(self, catalog: str | None, database: str | None) -> list[tuple[str, TableOrView]]:
        catalog, database = catalog or self.current_catalog, database or self.current_database
        found = self.catalog(catalog).find_database(database)
        temporary = {i.name: t for i, t in self._temporary.items() if (i.catalog, i.database) == (catalog, database)}
        if found is None and not temporary:
            self.catalog(catalog).database(database)
        return list(((found.tables if found else {}) | temporary).items())

    def create_table(
        self, table: TableOrView, *, is_temporary: bool, ignore_if_exists: bool = False, replace_existing: bool = False
    ) -> bool:
        """Adds a table or view; whether it was added.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        identifier = table.identifier
        existing = self._temporary.get(identifier) if is_temporary else self._permanent(identifier)
        if replace_existing and existing is not None and type(existing) is not type(table):
            raise AlreadyExistsError(
                f"'{identifier.as_summary_string()}' is a {'view' if isinstance(existing, ViewSpec) else 'table'}",
                fix="drop it first",
            )
        kind = "view" if isinstance(table, ViewSpec) else "table"
        taken = identifier in self._temporary if is_temporary else self._permanent(identifier) is not None
        if taken and not replace_existing:
            if ignore_if_exists:
                return False
            raise AlreadyExistsError(
                f"{'temporary ' if is_temporary else ''}{kind} '{identifier.as_summary_string()}' exists already",
                fix="drop it first, or use another name",
            )
        if is_temporary:
            self._temporary[identifier] = table
        else:
            self.catalog(identifier.catalog).database(identifier.database).tables[identifier.name] = table
        return True

    def alter_table(self, table: TableOrView) -> None:
        """Replaces the definition of an existing table or view.

        Raises:
            UnknownNameError: There is none of that name.
        """
        self.table(table.identifier)
        self.create_table(table, is_temporary=self.is_temporary(table.identifier), replace_existing=True)

    def rename_table(self, old: ObjectIdentifier, new: ObjectIdentifier) -> None:
        """Renames a table or view.

        Raises:
            UnknownNameError: There is none of the old name.
            AlreadyExistsError: The new name is taken.
        """
        table = self.table(old)
        is_temporary = self.is_temporary(old)
        self.create_table(replace(table, identifier=new), is_temporary=is_temporary)
        self._remove(old, is_temporary)

    def _remove(self, identifier: ObjectIdentifier, is_temporary: bool) -> None:
        if is_temporary:
            del self._temporary[identifier]
        else:
            del self.catalog(identifier.catalog).database(identifier.database).tables[identifier.name]

    def drop(self, identifier: ObjectIdentifier, *, is_view: bool, is_temporary: bool, if_exists: bool) -> bool:
        """Drops a table or view; whether it was there.

        Raises:
            UnknownNameError: There is none of that name and kind.
            ValidationError: A temporary object of the same name hides the permanent one.
        """
        kind = ("temporary " if is_temporary else "") + ("view" if is_view else "table")
        found = self._temporary.get(identifier) if is_temporary else self._permanent(identifier)
        if found is None or isinstance(found, ViewSpec) != is_view:
            hint = None
            if not is_temporary and identifier in self._temporary:
                hint = f"a temporary object has that name: DROP TEMPORARY {'VIEW' if is_view else 'TABLE'} {identifier.name}"
            if found is not None:
                hint = f"it is a {'table' if is_view else 'view'}"
            if if_exists and (hint is None or found is not None):
                return False
            raise UnknownNameError(
                f"{kind} '{identifier.as_summary_string()}' does not exist",
                exists=f"tables: {', '.join(self.table_names()) or 'none'}",
                fix=hint or did_you_mean(identifier.name, self.table_names()),
            )
        if not is_temporary and identifier in self._temporary:
            raise ValidationError(
                f"a temporary object of the name '{identifier.as_summary_string()}' exists",
                fix="drop the temporary one first",
            )
        self._remove(identifier, is_temporary)
        return True

    def find_function(self, parts: Sequence[str]) -> Any | None:
        """The wrapper registered under that name (any case), or None."""
        if len(parts) == 1 and parts[0].lower() in self._system_functions:
            return loaded(self._system_functions[parts[0].lower()])
        identifier = self.function_identifier(parts)
        if identifier in self._temporary_functions:
            return loaded(self._temporary_functions[identifier])
        catalog = self._catalogs.get(identifier.catalog)
        database = catalog.find_database(identifier.database) if catalog else None
        found = database.functions.get(identifier.name) if database else None
        return None if found is None else loaded(found)

    def function_identifier(self, parts: Sequence[str]) -> ObjectIdentifier:
        """The full name of a function; names of functions do not tell upper from lower case."""
        identifier = self.qualify(parts)
        return replace(identifier, name=identifier.name.lower())

    def create_system_function(self, name: str, function: Any, *, if_not_exists: bool, replace_existing: bool) -> None:
        """Adds a temporary system function: a one-part name in no database."""
        if name.lower() in self._system_functions and not replace_existing:
            if if_not_exists:
                return
            raise AlreadyExistsError(f"temporary system function '{name}' exists already", fix="drop it first")
        self._system_functions[name.lower()] = function

    def create_temporary_function(self, identifier: ObjectIdentifier, function: Any, *, if_not_exists: bool = False) -> None:
        """Adds a temporary function of a database; one of the same name is an error."""
        if identifier in self._temporary_functions:
            if if_not_exists:
                return
            raise AlreadyExistsError(
                f"temporary function '{identifier.as_summary_string()}' exists already", fix="drop it first"
            )
        self._temporary_functions[identifier] = function

    def alter_temporary_function(self, identifier: ObjectIdentifier, function: Any) -> None:
        """Replaces a temporary function."""
        if identifier not in self._temporary_functions:
            raise unknown("temporary function", identifier.name, [i.name for i in self._temporary_functions])
        self._temporary_functions[identifier] = function

    def create_function(self, identifier: ObjectIdentifier, function: CatalogFunction, *, if_not_exists: bool) -> None:
        """Adds a permanent function."""
        self.catalog(identifier.catalog).create_function(_path(identifier), function, if_not_exists)

    def drop_system_function(self, name: str, if_exists: bool) -> bool:
        """Drops a temporary system function; whether it was there."""
        if self._system_functions.pop(name.lower(), None) is not None:
            return True
        if not if_exists:
            raise unknown("temporary system function", name, self._system_functions)
        return False

    def drop_temporary_function(self, identifier: ObjectIdentifier, if_exists: bool) -> bool:
        """Drops a temporary function; whether it was there."""
        if self._temporary_functions.pop(identifier, None) is not None:
            return True
        if not if_exists:
            raise unknown("temporary function", identifier.name, [i.name for i in self._temporary_functions])
        return False

    def drop_function(self, identifier: ObjectIdentifier, if_exists: bool) -> bool:
        """Drops a permanent function; whether it was there."""
        if identifier in self._temporary_functions:
            raise ValidationError(f"a temporary function has the name '{identifier.name}'", fix="DROP TEMPORARY FUNCTION")
        catalog = self.catalog(identifier.catalog)
        existed = catalog.function_exists(_path(identifier))
        catalog.drop_function(_path(identifier), if_exists)
        return existed

    def user_functions(self, catalog: str | None = None, database: str | None = None) -> list[str]:
        """Names of the user's functions that can be called by one-part names, sorted."""
        catalog, database = catalog or self.current_catalog, database or self.current_database
        names = {i.name for i in self._temporary_functions if (i.catalog, i.database) == (catalog, database)}
        found = self.catalog(catalog).find_database(database)
        return sorted(names | set(self._system_functions) | set(found.functions if found else ()))

    def create_model(
        self, identifier: ObjectIdentifier, model: CatalogModel, *, is_temporary: bool, ignore_if_exists: bool
    ) -> None:
        """Adds a model."""
        if not is_temporary:
            self.catalog(identifier.catalog).create_model(_path(identifier), model, ignore_if_exists)
        elif identifier not in self._temporary_models:
            self._temporary_models[identifier] = model
        elif not ignore_if_exists:
            raise AlreadyExistsError(f"temporary model '{identifier.as_summary_string()}' exists already")

    def drop_model(self, identifier: ObjectIdentifier, *, is_temporary: bool, if_exists: bool) -> bool:
        """Drops a model; whether it was there."""
        if is_temporary:
            existed = self._temporary_models.pop(identifier, None) is not None
            if not existed and not if_exists:
                raise unknown("temporary model", identifier.name, [i.name for i in self._temporary_models])
            return existed
        catalog = self.catalog(identifier.catalog)
        existed = catalog.model_exists(_path(identifier))
        catalog.drop_model(_path(identifier), if_exists)
        return existed

    def find_model(self, identifier: ObjectIdentifier) -> CatalogModel | None:
        """The model of that name (a temporary one first), or None."""
        if identifier in self._temporary_models:
            return self._temporary_models[identifier]
        catalog = self._catalogs.get(identifier.catalog)
        database = catalog.find_database(identifier.database) if catalog else None
        return database.models.get(identifier.name) if database else None

    def model(self, identifier: ObjectIdentifier) -> CatalogModel:
        """The model of that name.

        Raises:
            UnknownNameError: There is none.
        """
        found = self.find_model(identifier)
        if found is None:
            raise unknown("model", identifier.as_summary_string(), self.list_models())
        return found

    def is_temporary_model(self, identifier: ObjectIdentifier) -> bool:
        """Whether the name means a temporary model."""
        return identifier in self._temporary_models

    def alter_model(self, identifier: ObjectIdentifier, model: CatalogModel) -> None:
        """Replaces the description of an existing model."""
        if identifier in self._temporary_models:
            self._temporary_models[identifier] = model
        else:
            self.catalog(identifier.catalog).alter_model(_path(identifier), model, False)

    def rename_model(self, old: ObjectIdentifier, new: ObjectIdentifier) -> None:
        """Renames a model.

        Raises:
            UnknownNameError: There is none of the old name.
            AlreadyExistsError: The new name is taken.
        """
        model, is_temporary = self.model(old), self.is_temporary_model(old)
        self.create_model(new, model, is_temporary=is_temporary, ignore_if_exists=False)
        self.drop_model(old, is_temporary=is_temporary, if_exists=False)

    def list_models(
        self, catalog: str | None = None, database: str | None = None, *, temporary_only: bool = False
    ) -> list[str]:
        """Names of the models of a database (None: the current one), sorted."""
        here = (catalog or self.current_catalog, database or self.current_database)
        names = {i.name for i in self._temporary_models if (i.catalog, i.database) == here}
        if not temporary_only:
            names |= set(self.catalog(here[0]).database(here[1]).models)
        return sorted(names)


def _path(identifier: ObjectIdentifier) -> ObjectPath:
    return ObjectPath(identifier.database, identifier.name)


def loaded(function: Any) -> Any:
    """The wrapper of a registered function; the code of a catalog function is imported when it is first used."""
    if not isinstance(function, CatalogFunction):
        return function
    if function.function is not None:
        return function.function
    from tableapi.udf import load_function

    return load_function(function.class_name, function.function_language)
