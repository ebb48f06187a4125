//! Whether an object that was read has what a wanted one asks for. The server fills in defaults, writes quantities
//! in its own way and leaves out what is empty; none of that is a difference. Pure.

use serde_json::{Map, Value};

/// Maps that belong to whoever wrote the object: the server adds nothing, so one more entry is a difference.
const WHOLE: [&str; 6] = ["binaryData", "data", "limits", "matchLabels", "nodeSelector", "stringData"];

/// Maps and fields that hold quantities.
const QUANTITIES: [&str; 4] = ["limits", "requests", "capacity", "sizeLimit"];

/// True when `present` has every field of `wanted`, with the same value.
pub(crate) fn contains(present: &Map<String, Value>, wanted: &Map<String, Value>) -> bool {
    map_contains(present, wanted, false)
}

fn map_contains(present: &Map<String, Value>, wanted: &Map<String, Value>, quantities: bool) -> bool {
    wanted.iter().all(|(key, wanted)| {
        let quantities = quantities || QUANTITIES.contains(&key.as_str());
        match present.get(key) {
            None => may_be_left_out(wanted),
            Some(Value::Object(present)) if WHOLE.contains(&key.as_str()) => {
                let wanted_keys = wanted.as_object();
                wanted_keys.is_some_and(|wanted| {
                    present.keys().all(|key| wanted.contains_key(key))
                        && map_contains(present, wanted, quantities)
                })
            }
            Some(present) => value_contains(present, wanted, quantities),
        }
    })
}

fn value_contains(present: &Value, wanted: &Value, quantities: bool) -> bool {
    match (present, wanted) {
        (Value::Object(present), Value::Object(wanted)) => map_contains(present, wanted, quantities),
        // Order and number are part of a list: the server adds to none of those that the plugin writes.
        (Value::Array(present), Value::Array(wanted)) => {
            present.len() == wanted.len()
                && present
                    .iter()
                    .zip(wanted)
                    .all(|(present, wanted)| value_contains(present, wanted, quantities))
        }
        _ if quantities => match (quantity(present), quantity(wanted)) {
            (Some(present), Some(wanted)) => present == wanted,
            _ => present == wanted,
        },
        _ => present == wanted,
    }
}

/// Fields of these values are left out of what the server shows (`omitempty`). An empty map is not among them:
/// `emptyDir: {}` says something.
fn may_be_left_out(wanted: &Value) -> bool {
    match wanted {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// A quantity in thousandths (`resource.Quantity`): `0.5` is `500m`, `1024Mi` is `1Gi`.
pub(crate) fn quantity(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let scale: i128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "P" => 1_000_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        "Pi" => 1000 << 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    digits.checked_mul(scale).filter(|scaled| scaled % divisor == 0).map(|scaled| scaled / divisor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(present: Value, wanted: Value, expected: bool) {
        let (Value::Object(present_map), Value::Object(wanted_map)) = (&present, &wanted) else {
            panic!("maps")
        };
        assert_eq!(contains(present_map, wanted_map), expected, "{present} has {wanted}");
    }

    #[test]
    fn what_the_server_fills_in_is_no_difference() {
        check(json!({"spec": {"a": 1, "dnsPolicy": "ClusterFirst"}}), json!({"spec": {"a": 1}}), true);
        check(
            json!({"c": [{"name": "x", "env": [{"name": "A"}], "terminationMessagePath": "/dev/log"}]}),
            json!({"c": [{"name": "x", "env": [{"name": "A", "value": ""}]}]}),
            true,
        );
        check(
            json!({}),
            json!({"hostNetwork": false, "tolerations": [], "affinity": null, "subPath": ""}),
            true,
        );
    }

    #[test]
    fn what_is_missing_or_other_is_a_difference() {
        check(json!({"spec": {"a": 1}}), json!({"spec": {"a": 2}}), false);
        check(json!({"spec": {}}), json!({"spec": {"a": 0}}), false);
        check(
            json!({"v": [{"name": "d", "hostPath": {}}]}),
            json!({"v": [{"name": "d", "emptyDir": {}}]}),
            false,
        );
        check(json!({"a": "x"}), json!({"a": {"b": 1}}), false);
        check(json!({"hostNetwork": true}), json!({"hostNetwork": false}), false);
    }

    #[test]
    fn lists_have_the_same_elements_in_the_same_order() {
        check(json!({"args": ["a", "b"]}), json!({"args": ["a", "b"]}), true);
        check(json!({"args": ["a", "b"]}), json!({"args": ["a"]}), false);
        check(json!({"args": ["b", "a"]}), json!({"args": ["a", "b"]}), false);
        check(json!({"args": ["a"]}), json!({"args": []}), false);
    }

    #[test]
    fn maps_of_the_writer_have_no_further_entry() {
        check(json!({"data": {"a": "1", "b": "2"}}), json!({"data": {"a": "1"}}), false);
        check(json!({"nodeSelector": {"a": "1"}}), json!({"nodeSelector": {"a": "1"}}), true);
        check(json!({"labels": {"a": "1", "b": "2"}}), json!({"labels": {"a": "1"}}), true);
    }

    #[test]
    fn quantities_are_compared_by_value() {
        let limits = |memory: Value, cpu: Value| json!({"limits": {"memory": memory, "cpu": cpu}});
        check(limits(json!("1Gi"), json!("500m")), limits(json!("1024Mi"), json!(0.5)), true);
        check(limits(json!("1Gi"), json!("1")), limits(json!("1G"), json!(1)), false);
        check(limits(json!("1Gi"), json!("1500m")), limits(json!("1Gi"), json!("1.5")), true);
        check(json!({"env": "1024Mi"}), json!({"env": "1Gi"}), false);
        check(json!({"requests": {"storage": "8Gi"}}), json!({"requests": {"storage": "8Gi"}}), true);
    }
}
