"""The grammar of types: `DECIMAL(10, 2)`, `ROW<a INT NOT NULL, b STRING>`, `INT ARRAY`, `INTERVAL DAY TO SECOND`, …

Also reads what the type classes print (`as_summary_string`), so a type survives the trip through text.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot.tokens import Token, TokenType

from tableapi.errors import did_you_mean
from tableapi.sql.cursor import Cursor
from tableapi.types import (
    MAX_DECIMAL_PRECISION,
    MAX_LENGTH,
    ArrayType,
    BigIntType,
    BinaryType,
    BitmapType,
    BooleanType,
    CharType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntervalUnit,
    IntType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NullType,
    RowField,
    RowType,
    SmallIntType,
    StructuredType,
    TimestampType,
    TimeType,
    TinyIntType,
    VarBinaryType,
    VarCharType,
    VariantType,
    YearMonthIntervalType,
)

_SIMPLE: dict[str, Callable[[], DataType]] = {
    "BOOLEAN": BooleanType,
    "TINYINT": TinyIntType,
    "SMALLINT": SmallIntType,
    "INT": IntType,
    "INTEGER": IntType,
    "BIGINT": BigIntType,
    "FLOAT": FloatType,
    "STRING": VarCharType,
    "BYTES": VarBinaryType,
    "DATE": DateType,
    "NULL": NullType,
    "VARIANT": VariantType,
    "BITMAP": BitmapType,
}
_FOREIGN = ("RAW", "DESCRIPTOR")
"""Types whose values only a JVM can hold, or that only the planner of Flink uses."""

_NAMES = (
    *_SIMPLE,
    *(
        "CHAR",
        "CHARACTER",
        "VARCHAR",
        "BINARY",
        "VARBINARY",
        "DECIMAL",
        "DEC",
        "NUMERIC",
        "DOUBLE",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMP_LTZ",
    ),
    *("INTERVAL", "ARRAY", "MAP", "MULTISET", "ROW", "STRUCTURED"),
)
_UNITS = tuple(unit.name for unit in IntervalUnit)


class TypeGrammar(Cursor):
    """Adds types to the cursor."""

    accepts_reserved_fields = False
    """Whether fields of a ROW may be called by reserved words (in type texts of the Table API, not in SQL)."""

    def data_type(self) -> DataType:
        """Consumes a type with its `NOT NULL` and its postfix ARRAY or MULTISET."""
        result = self._nullability(self._plain_type())
        while word := self.accept_any("ARRAY", "MULTISET"):
            wrapped: DataType = ArrayType(result) if word == "ARRAY" else MultisetType(result)
            result = self._nullability(wrapped)
        return result

    def _nullability(self, data_type: DataType) -> DataType:
        if self.accept("NOT", "NULL"):
            return data_type.not_null()
        if not self.at("NULL", "ON"):
            self.accept("NULL")
        return data_type

    def _plain_type(self) -> DataType:
        start = self._curr
        word = self.word()
        if not word:
            self.unexpected("a type")
        if word in _SIMPLE:
            self._advance()
            return _SIMPLE[word]()
        if word in _FOREIGN:
            self.unsupported(f"type {word}")
        if word not in _NAMES:
            self.fail(f"type '{start.text}' does not exist", fix=did_you_mean(word, _NAMES))
        self._advance()
        match word:
            case "CHAR" | "CHARACTER" | "VARCHAR" | "BINARY" | "VARBINARY":
                word = word.removesuffix("ACTER")
                varies = word in ("CHAR", "BINARY") and bool(self.accept("VARYING"))
                return self._text_or_bytes(f"VAR{word}" if varies else word, start)
            case "DECIMAL" | "DEC" | "NUMERIC":
                return self._decimal(start)
            case "DOUBLE":
                self.accept("PRECISION")
                return DoubleType()
            case "TIME" | "TIMESTAMP" | "TIMESTAMP_LTZ":
                return self._temporal(word, start)
            case "INTERVAL":
                return self.interval_type()
            case "ROW":
                return self._row_type()
            case "STRUCTURED":
                return self._structured_type()
            case "MAP":
                self.expect_symbol(TokenType.LT)
                key = self.data_type()
                self.expect_symbol(TokenType.COMMA)
                value = self.data_type()
                self._close_angle()
                return MapType(key, value)
            case _:
                self.expect_symbol(TokenType.LT)
                element = self.data_type()
                self._close_angle()
                return ArrayType(element) if word == "ARRAY" else MultisetType(element)

    def _close_angle(self) -> None:
        self.expect_symbol(TokenType.GT)

    def _text_or_bytes(self, word: str, start: Token) -> DataType:
        default = MAX_LENGTH if word.startswith("VAR") else 1
        length = self.in_parentheses(self.integer) if self.kind() is TokenType.L_PAREN else default
        if not 1 <= length <= MAX_LENGTH:
            self.fail(f"the length of {word} must be 1 to {MAX_LENGTH}, not {length}", start)
        kind = {"CHAR": CharType, "VARCHAR": VarCharType, "BINARY": BinaryType, "VARBINARY": VarBinaryType}[word]
        return kind(length)

    def _decimal(self, start: Token) -> DataType:
        precision, scale = 10, 0
        if self.symbol(TokenType.L_PAREN):
            precision = self.integer()
            if self.symbol(TokenType.COMMA):
                scale = self.integer()
            self.close()
        if not 1 <= precision <= MAX_DECIMAL_PRECISION:
            self.fail(f"the precision of DECIMAL must be 1 to {MAX_DECIMAL_PRECISION}, not {precision}", start)
        if scale > precision:
            self.fail(f"the scale of DECIMAL must be 0 to its precision {precision}, not {scale}", start)
        return DecimalType(precision, scale)

    def _temporal(self, word: str, start: Token) -> DataType:
        default = 0 if word == "TIME" else 6
        precision = self.in_parentheses(self.integer) if self.kind() is TokenType.L_PAREN else default
        if precision > 9:
            self.fail(f"the precision of {word} must be 0 to 9, not {precision}", start)
        is_local = word == "TIMESTAMP_LTZ"
        if word != "TIMESTAMP_LTZ" and self.accept("WITHOUT", "TIME", "ZONE"):
            is_local = False
        elif word == "TIMESTAMP" and self.accept("WITH", "LOCAL", "TIME", "ZONE"):
            is_local = True
        elif word == "TIMESTAMP" and self.at("WITH", "TIME", "ZONE"):
            self.unsupported("TIMESTAMP WITH TIME ZONE", start, fix="use TIMESTAMP_LTZ")
        if word == "TIME":
            return TimeType(precision)
        return LocalZonedTimestampType(precision) if is_local else TimestampType(precision)

    def interval_unit(self) -> IntervalUnit:
        """Consumes YEAR, MONTH, DAY, HOUR, MINUTE or SECOND (or the plural), with an optional precision."""
        return self._unit_and_digits()[0]

    def _unit_and_digits(self) -> tuple[IntervalUnit, int]:
        """A unit and its precision: how many digits the number of a literal may have."""
        digits = 2
        word = self.word()
        singular = word[:-1] if word.endswith("S") else word
        if singular not in _UNITS:
            self.unexpected("YEAR, MONTH, DAY, HOUR, MINUTE or SECOND")
        self._advance()
        if self.kind() is TokenType.L_PAREN and self.kind(1) is TokenType.NUMBER:
            self.open()
            digits = self.integer()
            if self.symbol(TokenType.COMMA):
                self.integer()
            self.close()
        return IntervalUnit[singular], digits

    def interval_type(self) -> YearMonthIntervalType | DayTimeIntervalType:
        """Consumes `DAY TO SECOND` and the like, after INTERVAL."""
        return self.interval_type_and_digits()[0]

    def interval_type_and_digits(self) -> tuple[YearMonthIntervalType | DayTimeIntervalType, int]:
        """Like `interval_type`, and the precision of its first unit."""
        start = self._curr
        first, digits = self._unit_and_digits()
        last = self.interval_unit() if self.accept("TO") else first
        if first > last or (first <= IntervalUnit.MONTH) != (last <= IntervalUnit.MONTH):
            self.fail(f"INTERVAL {first.name} TO {last.name} does not exist", start)
        made = YearMonthIntervalType if first <= IntervalUnit.MONTH else DayTimeIntervalType
        return made(first, last), digits

    def _row_type(self) -> RowType:
        closing = TokenType.GT
        if self.symbol(TokenType.L_PAREN):
            closing = TokenType.R_PAREN
        elif self.symbol(TokenType.NEQ):
            return RowType()
        else:
            self.expect_symbol(TokenType.LT)
        if self.symbol(closing):
            return RowType()
        fields = self.comma_list(self._row_field)
        self.expect_symbol(closing)
        return RowType(self._distinct(fields, "ROW"))

    def _distinct(self, fields: tuple[RowField, ...], kind: str) -> tuple[RowField, ...]:
        names = [f.name for f in fields]
        for name in names:
            if names.count(name) > 1:
                self.fail(f"{kind} has two fields called '{name}'", self._prev)
        return fields

    def _structured_type(self) -> StructuredType:
        self.expect_symbol(TokenType.LT)
        class_name = self.string()
        fields = self.comma_list(self._row_field) if self.symbol(TokenType.COMMA) else ()
        self._close_angle()
        return StructuredType(self._distinct(tuple(fields), "STRUCTURED"), class_name)

    def _row_field(self) -> RowField:
        is_word = self.accepts_reserved_fields and self.kind() is TokenType.VAR
        name = str(self.next_token().text) if is_word else self.name("a field name")
        data_type = self.data_type()
        comment = self.string() if self.kind() is TokenType.STRING else None
        return RowField(name, data_type, comment)
