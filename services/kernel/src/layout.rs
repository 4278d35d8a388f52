//! From the server's INSERT header to a static plan: which column shows which field, encoded how.

use crate::buffer::Bytes;
use crate::column::{Store, Text};
use crate::ids::{Form, Ids};
use crate::map::{Attributes, Part};
use crate::number::{Arrays, Numbers, Width};
use crate::spec::{Field, Kind, Spec, INGEST_ID};
use crate::types::{parse, Type};

/// A column or type that no field fills; the text names table, column and types.
#[derive(Debug, PartialEq, Eq)]
pub struct LayoutError(pub String);

/// The buffers of one field.
pub enum Column {
    /// The table has no such column.
    Absent,
    Text(Text),
    Numbers(Numbers),
    Ids(Ids),
    Attributes(Box<Attributes>),
    Arrays(Arrays),
}

/// One column of the header, in the header's order.
#[derive(Clone, Debug)]
pub struct Shown {
    pub name: String,
    /// The type exactly as the header gave it.
    pub type_name: String,
    pub source: Source,
}

/// Where a column's data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    IngestId,
    /// A field's number, its Nested group, and its part if it is an attribute field.
    Field(usize, Option<usize>, Part),
}

/// A field found by a column's name, and the part of it that the column shows.
fn find(spec: &'static Spec, column: &str) -> Option<(usize, &'static Field, Part)> {
    let mut fields = spec.fields.iter().enumerate();
    fields.find_map(|(number, field)| {
        let rest = column.strip_prefix(field.name)?;
        // A pair of arrays: `SpanAttributes.Key` on top, `Events.AttributesKey` inside Nested.
        let part = match (field.kind, field.group, rest) {
            (_, _, "") => Part::Map,
            (Kind::Attributes, None, ".Key") | (Kind::Attributes, Some(_), "Key") => Part::Keys,
            (Kind::Attributes, None, ".Value") | (Kind::Attributes, Some(_), "Value") => {
                Part::Values
            }
            _ => return None,
        };
        Some((number, field, part))
    })
}

/// Reads a header into the columns of all fields and the order in which they are shown.
pub fn plan(
    spec: &'static Spec,
    header: &[(String, String)],
) -> Result<(Vec<Column>, Vec<Shown>), LayoutError> {
    let mut columns: Vec<Column> = spec.fields.iter().map(|_| Column::Absent).collect();
    let mut shown: Vec<Shown> = Vec::with_capacity(header.len());
    for (name, type_name) in header {
        if shown.iter().any(|s| s.name == *name) {
            return Err(LayoutError(format!(
                "table {}: the header names column {name} twice",
                spec.name
            )));
        }
        let source = if name == INGEST_ID {
            if parse(type_name) != Type::Int(false, 64) {
                return Err(misfit(spec, name, type_name, "UInt64"));
            }
            Source::IngestId
        } else {
            place(spec, &mut columns, name, type_name)?
        };
        shown.push(Shown {
            name: name.clone(),
            type_name: type_name.clone(),
            source,
        });
    }
    Ok((columns, shown))
}

fn place(
    spec: &'static Spec,
    columns: &mut [Column],
    name: &str,
    type_name: &str,
) -> Result<Source, LayoutError> {
    let Some((number, field, part)) = find(spec, name) else {
        let known: Vec<&str> = spec.fields.iter().map(|f| f.name).collect();
        return Err(LayoutError(format!(
            "table {}: no field fills column {name} of type {type_name}; the columns are {}, {INGEST_ID}",
            spec.name,
            known.join(", ")
        )));
    };
    let error = || misfit(spec, name, type_name, &accepted(field, part));
    let mut inner = parse(type_name);
    if field.group.is_some() {
        inner = match inner {
            Type::Array(item) => *item,
            _ => return Err(error()),
        };
    }
    if field.kind != Kind::Attributes {
        columns[number] = simple(field.kind, &inner).ok_or_else(error)?;
        return Ok(Source::Field(number, field.group, Part::Map));
    }
    let part =
        attributes(&mut columns[number], part, &inner, field.group.is_some()).ok_or_else(error)?;
    Ok(Source::Field(number, field.group, part))
}

/// A column that shows one field alone.
fn simple(kind: Kind, ty: &Type) -> Option<Column> {
    Some(match kind {
        Kind::Text => Column::Text(text(ty)?),
        Kind::Time => Column::Numbers(Numbers::new(match ty {
            Type::DateTime => Width::DateTime,
            Type::DateTime64(places) => Width::DateTime64(10u64.pow(9 - places)),
            Type::Int(true, 64) => Width::I64,
            Type::Int(false, 64) => Width::U64,
            _ => return None,
        })),
        Kind::TraceId => Column::Ids(Ids::new(id_form(ty, 16)?, 16)),
        Kind::SpanId => Column::Ids(Ids::new(id_form(ty, 8)?, 8)),
        Kind::Integer => Column::Numbers(Numbers::new(integer(ty).or(float(ty))?)),
        Kind::Flag => Column::Numbers(Numbers::new(match ty {
            Type::Bool => Width::Bool,
            _ => integer(ty)?,
        })),
        Kind::Double => Column::Numbers(Numbers::new(float(ty)?)),
        Kind::Integers => Column::Arrays(Arrays::new(match ty {
            Type::Array(item) => integer(item).or(float(item))?,
            _ => return None,
        })),
        Kind::Doubles => Column::Arrays(Arrays::new(match ty {
            Type::Array(item) => float(item)?,
            _ => return None,
        })),
        Kind::Attributes => return None,
    })
}

fn text(ty: &Type) -> Option<Text> {
    match ty {
        Type::String => Some(Text::plain()),
        Type::LowCardinality => Some(Text::low()),
        Type::FixedString(n) => Some(Text::new(Store::Fixed(*n, Bytes::default()))),
        _ => None,
    }
}

fn id_form(ty: &Type, size: usize) -> Option<Form> {
    match ty {
        Type::String => Some(Form::Hex(Text::plain())),
        Type::LowCardinality => Some(Form::Hex(Text::low())),
        Type::FixedString(n) if *n == 2 * size => Some(Form::FixedHex(Bytes::default())),
        Type::FixedString(n) if *n == size => Some(Form::Raw(Bytes::default())),
        Type::Uuid if size == 16 => Some(Form::Uuid(Bytes::default())),
        _ => None,
    }
}

fn integer(ty: &Type) -> Option<Width> {
    match ty {
        Type::Int(false, 8) => Some(Width::U8),
        Type::Int(false, 16) => Some(Width::U16),
        Type::Int(false, 32) => Some(Width::U32),
        Type::Int(false, 64) => Some(Width::U64),
        Type::Int(true, 8) => Some(Width::I8),
        Type::Int(true, 16) => Some(Width::I16),
        Type::Int(true, 32) => Some(Width::I32),
        Type::Int(true, 64) => Some(Width::I64),
        _ => None,
    }
}

fn float(ty: &Type) -> Option<Width> {
    (*ty == Type::Float64).then_some(Width::F64)
}

/// Adds a column to an attribute field. A pair's halves share one set of buffers.
fn attributes(column: &mut Column, part: Part, ty: &Type, nested: bool) -> Option<Part> {
    let absent = || Text::new(Store::Absent);
    if matches!(column, Column::Absent) {
        *column = Column::Attributes(Box::new(Attributes::new(absent(), absent(), None)));
    }
    let Column::Attributes(map) = column else {
        return None;
    };
    let unused = map.keys.is_absent() && map.values.is_absent();
    match (part, ty) {
        (Part::Map, Type::Map(key, value)) if unused && map.json.is_none() => {
            map.keys = pair_text(key)?;
            map.values = pair_text(value)?;
            Some(Part::Map)
        }
        (Part::Map, Type::String | Type::LowCardinality) if nested && unused => {
            map.json = text(ty);
            Some(Part::Json)
        }
        (Part::Keys, Type::Array(item)) if map.keys.is_absent() && map.json.is_none() => {
            map.keys = pair_text(item)?;
            Some(part)
        }
        (Part::Values, Type::Array(item)) if map.values.is_absent() && map.json.is_none() => {
            map.values = pair_text(item)?;
            Some(part)
        }
        _ => None,
    }
}

/// Keys and values of pairs have any length.
fn pair_text(ty: &Type) -> Option<Text> {
    match ty {
        Type::String | Type::LowCardinality => text(ty),
        _ => None,
    }
}

fn misfit(spec: &Spec, name: &str, type_name: &str, accepted: &str) -> LayoutError {
    LayoutError(format!(
        "table {}: column {name} has type {type_name} on the server, but its field fills only {accepted}",
        spec.name
    ))
}

/// The types that a field can fill, for people.
fn accepted(field: &Field, part: Part) -> String {
    let types: &[&str] = match (field.kind, part) {
        (Kind::Time, _) => &["DateTime64(0..9)", "DateTime", "Int64", "UInt64"],
        (Kind::TraceId, _) => &[
            "String",
            "LowCardinality(String)",
            "FixedString(32)",
            "FixedString(16)",
            "UUID",
        ],
        (Kind::SpanId, _) => &[
            "String",
            "LowCardinality(String)",
            "FixedString(16)",
            "FixedString(8)",
        ],
        (Kind::Text, _) => &["String", "LowCardinality(String)", "FixedString(N)"],
        (Kind::Integer, _) => &["UInt8..UInt64", "Int8..Int64", "Float64"],
        (Kind::Flag, _) => &["Bool", "UInt8..UInt64", "Int8..Int64"],
        (Kind::Double, _) => &["Float64"],
        (Kind::Integers, _) => &[
            "Array(UInt8..UInt64)",
            "Array(Int8..Int64)",
            "Array(Float64)",
        ],
        (Kind::Doubles, _) => &["Array(Float64)"],
        (Kind::Attributes, Part::Map) if field.group.is_some() => &[
            "Map(K, V) of String or LowCardinality(String)",
            "String",
            "LowCardinality(String)",
        ],
        (Kind::Attributes, Part::Map) => &["Map(K, V) of String or LowCardinality(String)"],
        (Kind::Attributes, _) => &["Array(String)", "Array(LowCardinality(String))"],
    };
    match field.group {
        None => types.join(", "),
        Some(_) => types
            .iter()
            .map(|ty| format!("Array({ty})"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LOGS, SUM, TRACES};

    fn error(spec: &'static Spec, name: &str, type_name: &str) -> String {
        match plan(spec, &[(name.into(), type_name.into())]) {
            Err(LayoutError(text)) => text,
            Ok(_) => panic!("{name} took {type_name}"),
        }
    }

    fn accepts(spec: &'static Spec, name: &str, type_name: &str) {
        let header = [(name.to_owned(), type_name.to_owned())];
        assert!(plan(spec, &header).is_ok(), "{name} {type_name}");
    }

    #[test]
    fn both_dialects_are_accepted() {
        for (name, ty) in [
            ("Timestamp", "DateTime64(9)"),
            ("Timestamp", "Int64"),
            ("SpanAttributes", "Map(LowCardinality(String), String)"),
            ("SpanAttributes.Key", "Array(LowCardinality(String))"),
            ("SpanAttributes.Value", "Array(String)"),
            ("Events.Timestamp", "Array(Int64)"),
            (
                "Events.Attributes",
                "Array(Map(LowCardinality(String), String))",
            ),
            ("Events.Attributes", "Array(String)"),
            (
                "Events.AttributesKey",
                "Array(Array(LowCardinality(String)))",
            ),
            ("Events.AttributesValue", "Array(Array(String))"),
            ("Links.TraceId", "Array(UUID)"),
            ("IngestId", "UInt64"),
        ] {
            accepts(&TRACES, name, ty);
        }
        accepts(&SUM, "IsMonotonic", "Bool");
        accepts(&SUM, "IsMonotonic", "UInt8");
    }

    #[test]
    fn errors_name_table_column_and_types() {
        let text = error(&LOGS, "Body", "Nullable(String)");
        for part in ["otel_logs", "Body", "Nullable(String)", "FixedString(N)"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(error(&LOGS, "Extra", "String").contains("no field fills column Extra"));
        assert!(error(&TRACES, "Events.Name", "String").contains("Array(String)"));
        assert!(error(&TRACES, "IngestId", "UInt32").contains("UInt64"));
        assert!(error(&TRACES, "SpanAttributes", "String").contains("Map"));
        assert!(error(&TRACES, "SpanId", "UUID").contains("FixedString(16)"));
        let twice = [
            ("Body".to_owned(), "String".to_owned()),
            ("Body".to_owned(), "String".to_owned()),
        ];
        assert!(plan(&LOGS, &twice).is_err());
    }

    #[test]
    fn a_map_and_its_pair_exclude_each_other() {
        let header = [
            (
                "SpanAttributes".to_owned(),
                "Map(String, String)".to_owned(),
            ),
            ("SpanAttributes.Key".to_owned(), "Array(String)".to_owned()),
        ];
        assert!(plan(&TRACES, &header).is_err());
    }
}
