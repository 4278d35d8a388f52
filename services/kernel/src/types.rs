//! ClickHouse type names as an INSERT header gives them.
//!
//! Source: <https://clickhouse.com/docs/sql-reference/data-types>.

/// The types that some field can fill; anything else is `Other`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    LowCardinality,
    FixedString(usize),
    /// Signed, bits.
    Int(bool, u8),
    Float64,
    Bool,
    DateTime,
    /// Decimal places of a second.
    DateTime64(u32),
    Uuid,
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Other,
}

/// Reads a type name.
pub fn parse(name: &str) -> Type {
    let name = name.trim();
    if let Some((outer, inner)) = name.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        return parse_call(outer.trim(), inner);
    }
    match name {
        "String" => Type::String,
        "UInt8" => Type::Int(false, 8),
        "UInt16" => Type::Int(false, 16),
        "UInt32" => Type::Int(false, 32),
        "UInt64" => Type::Int(false, 64),
        "Int8" => Type::Int(true, 8),
        "Int16" => Type::Int(true, 16),
        "Int32" => Type::Int(true, 32),
        "Int64" => Type::Int(true, 64),
        "Float64" => Type::Float64,
        "Bool" => Type::Bool,
        "DateTime" => Type::DateTime,
        "UUID" => Type::Uuid,
        _ => Type::Other,
    }
}

fn parse_call(outer: &str, inner: &str) -> Type {
    let arguments = split(inner);
    match (outer, arguments.as_slice()) {
        ("LowCardinality", [item]) if parse(item) == Type::String => Type::LowCardinality,
        ("FixedString", [size]) => match size.parse() {
            Ok(size) if size > 0 => Type::FixedString(size),
            _ => Type::Other,
        },
        // The zone is how the server shows the time, not what it stores.
        ("DateTime", [_zone]) => Type::DateTime,
        ("DateTime64", [places] | [places, _]) => match places.parse() {
            Ok(places) if places <= 9 => Type::DateTime64(places),
            _ => Type::Other,
        },
        ("Array", [item]) => Type::Array(Box::new(parse(item))),
        ("Map", [key, value]) => Type::Map(Box::new(parse(key)), Box::new(parse(value))),
        _ => Type::Other,
    }
}

/// Arguments between top-level commas.
fn split(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0usize, 0, Vec::new());
    for (i, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(inner[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(inner[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_exporter_schema() {
        let map = Type::Map(Box::new(Type::LowCardinality), Box::new(Type::String));
        assert_eq!(parse("Map(LowCardinality(String), String)"), map);
        assert_eq!(
            parse("Array(Map(LowCardinality(String),String))"),
            Type::Array(Box::new(map))
        );
        assert_eq!(parse("DateTime64(9)"), Type::DateTime64(9));
        assert_eq!(parse("DateTime64(3, 'Asia/Istanbul')"), Type::DateTime64(3));
        assert_eq!(parse("DateTime('UTC')"), Type::DateTime);
        assert_eq!(parse("FixedString(32)"), Type::FixedString(32));
        assert_eq!(parse("Array(Array(String))"), {
            Type::Array(Box::new(Type::Array(Box::new(Type::String))))
        });
    }

    #[test]
    fn unknown_types_are_other() {
        for name in [
            "Nullable(String)",
            "LowCardinality(Nullable(String))",
            "FixedString(0)",
            "FixedString(x)",
            "DateTime64(10)",
            "Decimal(9, 2)",
            "JSON",
            "Map(String)",
            "(",
            ")",
            "",
        ] {
            assert_eq!(parse(name), Type::Other, "{name}");
        }
    }
}
