//! Guardrails as Python hands them over; `core/guardrails.py` has checked them.

use crate::guard_rule::{Action, Place, Rule};
use crate::tiers::Tiers;

/// (action, key patterns, places, number, new name, (texts, bounds, label for the rest)).
pub type RuleTuple = (String, Vec<String>, Vec<String>, usize, String, TiersTuple);
type TiersTuple = (Vec<(String, String)>, Vec<(f64, String)>, Option<String>);

/// Bits of the number of a `redact` rule.
const SECRETS: usize = 1;
const EMAILS: usize = 2;

pub fn read_rules(tuples: Vec<RuleTuple>) -> Result<Vec<Rule>, String> {
    tuples.into_iter().map(read_rule).collect()
}

fn read_rule((action, keys, places, number, name, tiers): RuleTuple) -> Result<Rule, String> {
    let action = match action.as_str() {
        "drop" => Action::Drop,
        "allow" => Action::Allow,
        "cap" => Action::Cap(number),
        "rename" => Action::Rename(name.into_bytes()),
        "hash" => Action::Hash,
        "truncate" => Action::Truncate(number),
        "map" => Action::Map(read_tiers(tiers)),
        "redact" => Action::Redact {
            secrets: number & SECRETS != 0,
            emails: number & EMAILS != 0,
        },
        other => return Err(format!("no guardrail does {other:?}")),
    };
    let place = |name: String| Place::named(&name).ok_or(format!("no place is named {name:?}"));
    Ok(Rule {
        action,
        keys: keys.into_iter().map(String::into_bytes).collect(),
        places: places.into_iter().map(place).collect::<Result<_, _>>()?,
    })
}

fn read_tiers((values, below, otherwise): TiersTuple) -> Tiers {
    let bytes = String::into_bytes;
    Tiers {
        values: values
            .into_iter()
            .map(|(v, l)| (bytes(v), bytes(l)))
            .collect(),
        below: below.into_iter().map(|(b, l)| (b, bytes(l))).collect(),
        otherwise: otherwise.map(bytes),
    }
}
