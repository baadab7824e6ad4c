use proptest::prelude::*;

use super::*;
use crate::mp::wire::{decode, encode};

fn any_value() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        Just(Any::None),
        any::<bool>().prop_map(Any::from),
        any::<i64>().prop_map(Any::from),
        any::<u64>().prop_map(Any::from),
        any::<f64>().prop_map(Any::from),
        any::<String>().prop_map(Any::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Any::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8).prop_map(Any::from),
        ]
    })
}

proptest! {
    #[test]
    fn b10_any_value_comes_back_from_bytes_and_from_json(value in any_value(), bytes: Vec<u8>) {
        let mut out = Vec::new();
        encode(&value, &mut out).unwrap();
        prop_assert_eq!(&decode::<Any>(&out).unwrap(), &value);
        prop_assert_eq!(&value.to_string().parse::<Any>().unwrap(), &value);
        let json: serde_json::Value = serde_json::to_value(&value).unwrap();
        prop_assert_eq!(serde_json::from_value::<Any>(json).unwrap(), value);
        out.clear();
        encode(&Any::Bytes(bytes.clone()), &mut out).unwrap();
        prop_assert_eq!(decode::<Any>(&out).unwrap(), Any::Bytes(bytes));
    }
}

#[test]
fn b10_json_of_another_hand_is_a_plain_value() {
    let json = serde_json::json!({"a": [1, -2, 2.5, null, true], "b": {"c": u64::MAX}, "": "x"});
    let any: Any = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(any.get("b").and_then(|it| it.get("c")), Some(&Any::U64(u64::MAX)));
    assert_eq!(any.get("a"), Some(&Any::from_iter([1.into(), (-2).into(), 2.5.into(), Any::None, true.into()])));
    assert_eq!((any.get("c"), Any::None.get("c")), (None, None));
    assert_eq!(serde_json::to_value(&any).unwrap(), json);
    assert_eq!(any.to_string(), r#"{"":"x","a":[1,-2,2.5,null,true],"b":{"c":18446744073709551615}}"#);
    let shown = Any::from_iter([Any::Bytes(vec![0, 255]), f64::NAN.into(), "a\n\u{1b}".into()]).to_string();
    assert_eq!(shown, r#"[[0,255],null,"a\n\u001b"]"#);
}

#[test]
fn b10_a_conversion_gives_the_value_or_says_why_not() {
    assert_eq!(u8::try_from(Any::I64(255)).unwrap(), 255);
    assert_eq!(u8::try_from(Any::I64(256)).unwrap_err().to_string(), "a whole number is no u8: 256");
    assert_eq!(Any::from(usize::MAX), Any::U64(u64::MAX));
    assert_eq!(i64::try_from(Any::from("x")).unwrap_err().to_string(), r#"text is no i64: "x""#);
    assert_eq!(f64::try_from(Any::I64(3)).unwrap(), 3.0);
    f64::try_from(Any::I64(i64::MAX)).unwrap_err();
    f64::try_from(Any::U64(u64::MAX)).unwrap_err();
    assert_eq!(String::try_from(Any::from("x")).unwrap(), "x");
    assert_eq!((Any::from(Some(1)), Any::from(None::<i32>), Any::from(())), (Any::I64(1), Any::None, Any::None));
    let error = "[1,".parse::<Any>().unwrap_err().to_string();
    assert!(error.starts_with("cannot read JSON: EOF"), "{error}");
}

#[test]
fn b34_nonsense_and_nesting_without_end_are_errors() {
    decode::<Any>(&[9]).unwrap_err();
    decode::<Any>(&[7, 1]).unwrap_err();
    decode::<Any>(&[5, 1, 0xff]).unwrap_err();
    // A list of one list of one list ...
    decode::<Any>(&[7, 1].repeat(100_000)).unwrap_err();
    let deep = (0..1000).fold(Any::None, |inner, _| Any::List(vec![inner]));
    encode(&deep, &mut Vec::new()).unwrap_err();
    "[".repeat(100_000).parse::<Any>().unwrap_err();
}
