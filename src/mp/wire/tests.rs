use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Serialize, Serializer};

use super::*;
use crate::sys::fd::memory_file;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    One(Box<Shape>),
    Two(i16, String),
    Named { at: (i8, u16), tags: Vec<Shape> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    small: (u8, i8, bool, char),
    medium: (u16, i16, u32, i32),
    wide: (u64, i64, u128, i128),
    floats: (u32, u64),
    text: String,
    map: BTreeMap<String, Option<i64>>,
    shape: Shape,
    unit: (),
    empty: Unit,
    wrapped: Wrapped,
    fixed: [u16; 3],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(Vec<Option<Option<u64>>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Borrowed<'a> {
    text: &'a str,
    #[serde(borrow)]
    cow: Cow<'a, str>,
}

/// Nested one level per link.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Link(Option<Box<Link>>);

fn bytes_of<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out).unwrap();
    out
}

fn why<T: Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Codec(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![Just(Shape::Nothing), (any::<i16>(), any::<String>()).prop_map(|(n, s)| Shape::Two(n, s))];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let named = (any::<(i8, u16)>(), vec(inner.clone(), 0..6)).prop_map(|(at, tags)| Shape::Named { at, tags });
        prop_oneof![inner.prop_map(|shape| Shape::One(shape.into())), named]
    })
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<(u8, i8, bool, char)>(), any::<(u16, i16, u32, i32)>(), any::<(u64, i64, u128, i128)>());
    let rest = (any::<(u32, u64)>(), any::<String>(), btree_map(any::<String>(), any::<Option<i64>>(), 0..5));
    let last = (shapes(), vec(any::<Option<Option<u64>>>(), 0..9), any::<[u16; 3]>());
    (numbers, rest, last).prop_map(|((small, medium, wide), (floats, text, map), (shape, wrapped, fixed))| Everything {
        small,
        medium,
        wide,
        floats,
        text,
        map,
        shape,
        unit: (),
        empty: Unit,
        wrapped: Wrapped(wrapped),
        fixed,
    })
}

proptest! {
    #[test]
    fn b10_any_value_comes_back(value in everything()) {
        let bytes = bytes_of(&value);
        prop_assert_eq!(&decode::<Everything>(&bytes).unwrap(), &value);
        let (single, double) = (f32::from_bits(value.floats.0), f64::from_bits(value.floats.1));
        let (back, again): (f32, f64) = decode(&bytes_of(&(single, double))).unwrap();
        prop_assert_eq!((back.to_bits(), again.to_bits()), value.floats, "the bits of a NaN too");
        let map: HashMap<_, _> = value.map.clone().into_iter().collect();
        prop_assert_eq!(decode::<HashMap<String, Option<i64>>>(&bytes_of(&map)).unwrap(), map);
    }

    #[test]
    fn b10_the_bytes_are_those_of_postcard(value in everything()) {
        let bytes = postcard::to_extend(&value, Vec::new()).unwrap();
        prop_assert_eq!(&bytes_of(&value), &bytes);
        prop_assert_eq!(decode::<Everything>(&bytes).unwrap(), postcard::from_bytes::<Everything>(&bytes).unwrap());
    }

    #[test]
    fn b10_text_can_be_borrowed(text: String, cow: String) {
        let value = Borrowed { text: &text, cow: Cow::Borrowed(&cow) };
        let bytes = bytes_of(&value);
        let back: Borrowed<'_> = decode(&bytes).unwrap();
        prop_assert!(matches!(back.cow, Cow::Borrowed(_)));
        prop_assert_eq!(back, value);
    }

    #[test]
    fn b34_what_is_cut_off_or_added_is_noticed(value in everything(), cut: prop::sample::Index, more: u8) {
        let mut bytes = bytes_of(&value);
        why(decode::<Everything>(&bytes[..cut.index(bytes.len())]));
        bytes.push(more);
        prop_assert_eq!(why(decode::<Everything>(&bytes)), "1 bytes follow the value");
    }

    #[test]
    fn b34_random_bytes_are_a_value_or_an_error(bytes in vec(prop_oneof![any::<u8>(), 0..4u8, Just(0xff)], 0..300)) {
        if let Ok(value) = decode::<Everything>(&bytes) {
            prop_assert_eq!(decode::<Everything>(&bytes_of(&value)).unwrap(), value);
        }
        let _ = decode::<Shape>(&bytes);
        let _ = decode::<Vec<Vec<()>>>(&bytes);
        let _ = decode::<HashMap<String, Vec<Link>>>(&bytes);
        if let Ok(text) = decode::<&str>(&bytes) {
            prop_assert_eq!(decode::<String>(&bytes_of(text)).unwrap(), text);
        }
    }

    #[test]
    fn b10_integers_take_as_few_bytes_as_they_need(value: u64, wide: i128, shift in 0..64u32) {
        let value = value >> shift;
        prop_assert_eq!(bytes_of(&value).len(), (64 - value.leading_zeros()).max(1).div_ceil(7) as usize);
        prop_assert_eq!(decode::<i128>(&bytes_of(&wide)).unwrap(), wide);
    }
}

#[test]
fn the_bytes_are_those_of_postcard() {
    assert_eq!(bytes_of(&(300u16, -1i32, 1.0f32, 'é')), [0xac, 2, 1, 0, 0, 0x80, 0x3f, 2, 0xc3, 0xa9]);
    assert_eq!(bytes_of(&(Some("hi"), None::<u8>, [true])), [1, 2, b'h', b'i', 0, 1]);
    assert_eq!(bytes_of(&Shape::Two(-2, "a".into())), [2, 3, 1, b'a']);
    assert_eq!(bytes_of(&BTreeMap::from([(1u8, 2u64)])), [1, 1, 2]);
    assert_eq!(bytes_of(&(u64::MAX, i64::MIN))[..10], [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
}

#[test]
fn b34_decoding_never_trusts_a_length() {
    let claim = bytes_of(&u64::MAX);
    for error in [
        why(decode::<Vec<u64>>(&claim)),
        why(decode::<&str>(&claim)),
        why(decode::<HashMap<u8, u8>>(&claim)),
        why(decode::<Vec<()>>(&claim)),
    ] {
        assert!(error.starts_with("a length of 18446744073709551615 is more than"), "{error}");
    }
    assert_eq!(why(decode::<u16>(&bytes_of(&70_000u32))), "an integer is too large for u16");
    assert_eq!(why(decode::<u64>(&[0xff; 10])), "an integer is too large");
    assert_eq!(why(decode::<u128>(&[0xff; 19])), "an integer is too large");
    assert_eq!(why(decode::<u64>(&[0xff; 9])), "the bytes end inside an integer");
    assert_eq!(why(decode::<bool>(&[2])), "a byte of 0 or 1 is 2");
    assert_eq!(why(decode::<char>(&bytes_of("ab"))), "a text of 2 bytes is not one character");
    assert_eq!(why(decode::<char>(&bytes_of(""))), "a text of 0 bytes is not one character");
    assert_eq!(why(decode::<char>(&[3, 0xed, 0xa0, 0x80])), "text is not UTF-8");
    assert_eq!(why(decode::<&str>(&[1, 0xff])), "text is not UTF-8");
    assert!(why(decode::<Shape>(&[4])).contains("variant index"));
}

#[test]
fn b34_elements_without_a_byte_are_few_in_all() {
    let most = MOST_EMPTY as usize;
    let units = vec![(); most];
    assert_eq!(decode::<Vec<()>>(&bytes_of(&units)).unwrap(), units);
    let more = (units, [()].to_vec());
    let error = why(encode(&more, &mut Vec::new()));
    assert_eq!(error, "there are more than 65536 elements that take no byte");
    let mut bytes = bytes_of(&more.0);
    bytes.extend([1]);
    assert_eq!(
        why(decode::<(Vec<()>, Vec<()>)>(&bytes)),
        "a length of 1 is more than the 0 bytes that are left can hold"
    );
    // Each inner sequence claims no more than the bytes that are left, and all of them together far too much.
    let mut bytes = bytes_of(&100_000u32);
    (0..100_000).for_each(|_| bytes.extend(bytes_of(&1000u32)));
    assert_eq!(why(decode::<Vec<Vec<()>>>(&bytes)), error);
}

#[test]
fn b34_nesting_has_an_end_on_both_sides() {
    let chain = |levels| (0..levels).fold(Link(None), |link, _| Link(Some(Box::new(link))));
    let deepest = chain(DEEPEST);
    assert_eq!(decode::<Link>(&bytes_of(&deepest)).unwrap(), deepest);
    let mut out = vec![7];
    let error = why(encode(&(1, "begun", chain(DEEPEST)), &mut out));
    assert_eq!(error, "the value is nested more than 128 levels deep");
    assert_eq!(out, [7], "what was begun is taken back");
    assert_eq!(why(decode::<Link>(&vec![1; 1_000_000])), error);
    let shape = (0..DEEPEST - 1).fold(Shape::Nothing, |shape, _| Shape::One(shape.into()));
    assert_eq!(decode::<Shape>(&bytes_of(&shape)).unwrap(), shape);
    why(encode(&Shape::One(shape.into()), &mut Vec::new()));
}

/// A sequence and a map that do not say how long they are, or not the truth.
struct Unmeasured(Option<usize>);

impl Serialize for Unmeasured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(self.0)?;
        for n in 0..200u16 {
            sequence.serialize_element(&Inner(n))?;
        }
        sequence.end()
    }
}

struct Inner(u16);

impl Serialize for Inner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(&self.0, "x")?;
        map.end()
    }
}

#[test]
fn a_sequence_of_unknown_length_is_as_any_other() {
    let plain: Vec<BTreeMap<u16, &str>> = (0..200).map(|n| BTreeMap::from([(n, "x")])).collect();
    assert_eq!(bytes_of(&Unmeasured(None)), bytes_of(&plain));
    let error = why(encode(&Unmeasured(Some(3)), &mut Vec::new()));
    assert_eq!(error, "a sequence said that it has 3 elements and has 200");
}

#[test]
fn what_the_bytes_cannot_tell_is_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
    }
    let error = why(encode(&Sparse { left_out: None }, &mut Vec::new()));
    assert_eq!(error, "field left_out cannot be left out, because fields have no names here");
    assert!(why(decode::<serde_json::Value>(&[0])).starts_with("the bytes do not tell their type"));
    assert!(why(decode::<serde::de::IgnoredAny>(&[0])).starts_with("the bytes do not tell their type"));
    // A type that takes less than there is does not leave the rest to its neighbour.
    assert_eq!(why(decode::<(Vec<u8>, u8)>(&[1, 2])), "the bytes end inside a value");
}

/// A file in memory that holds `text`.
fn file(text: &str) -> Handle {
    let mut file = File::from(memory_file("test").unwrap());
    file.write_all(text.as_bytes()).unwrap();
    OwnedFd::from(file).into()
}

fn read(handle: &Handle) -> String {
    let mut file = File::from(handle.as_fd().try_clone_to_owned().unwrap());
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn handles_travel_with_their_message_and_each_once() {
    let (a, b) = (file("a"), file("b"));
    let message = encode_with_handles(&(&a, 7u8, vec![b.clone(), a.clone(), b.clone()])).unwrap();
    assert_eq!((message.fds.len(), &message.bytes[..]), (2, &[0, 7, 3, 1, 0, 1][..]));
    drop((a, b));
    let (a, seven, rest): (Handle, u8, Vec<Handle>) = decode_with_handles(message).unwrap();
    assert_eq!((read(&a), seven), ("a".to_owned(), 7));
    assert_eq!(rest.iter().map(read).collect::<String>(), "bab");
    assert_eq!(rest[1].as_fd().as_raw_fd(), a.as_fd().as_raw_fd());
}

/// Something with one owner.
#[derive(Debug)]
struct Single(OwnedFd);

impl Serialize for Single {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send_copy(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        receive_owned(deserializer).map(Self)
    }
}

#[test]
fn a_descriptor_with_one_owner_is_given_out_once() {
    let inode = |fd: &OwnedFd| File::from(fd.try_clone().unwrap()).metadata().unwrap().ino();
    let single = Single(memory_file("test").unwrap());
    let message = encode_with_handles(&(&single, file("x"), &single)).unwrap();
    assert_eq!(message.fds.len(), 3);
    let (first, _, second): (Single, Handle, Single) = decode_with_handles(message).unwrap();
    assert_eq!((inode(&first.0), inode(&second.0)), (inode(&single.0), inode(&single.0)));
    let mut message = encode_with_handles(&single).unwrap();
    message.bytes = bytes_of(&(0u64, 0u64));
    let error = why(decode_with_handles::<(Single, Single)>(message));
    assert_eq!(error, "descriptor 0 did not come with the message");
}

#[test]
fn b34_a_handle_without_its_message_is_an_error_that_says_so() {
    let handle = file("x");
    let error = why(encode(&handle, &mut Vec::new()));
    assert_eq!(error, "a descriptor can only be put into bytes as part of a message to another process");
    assert!(serde_json::to_string(&handle).unwrap_err().to_string().starts_with(&error));
    assert!(why(decode::<Handle>(&[0])).starts_with("a descriptor can only be taken from a message"));
    for index in [1, u64::MAX] {
        let fds = encode_with_handles(&handle).unwrap().fds;
        let error = why(decode_with_handles::<Handle>(Message { bytes: bytes_of(&index), fds }));
        assert_eq!(error, format!("descriptor {index} did not come with the message"));
    }
}

#[test]
fn what_is_set_aside_is_no_part_of_the_message() {
    let handle = file("x");
    let fds = exchange(Vec::new(), || {
        aside(|| encode(&handle, &mut Vec::new())).unwrap_err();
        encode(&handle, &mut Vec::new())
    });
    assert_eq!(fds.unwrap().len(), 1);
}

#[test]
fn descriptors_that_nobody_asks_for_are_closed() {
    let (read, write) = crate::sys::fd::pipe().unwrap();
    let message = Message { bytes: bytes_of(&3u8), fds: vec![write] };
    assert_eq!(decode_with_handles::<u8>(message).unwrap(), 3);
    assert_eq!(File::from(read).read(&mut [0]).unwrap(), 0, "the last writer is gone");
}

/// Encodes another message, and panics, while it is encoded.
struct Nested<'a>(&'a Handle, Cell<bool>);

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_eq!(encode_with_handles(self.0).unwrap().fds.len(), 1);
        let panic = || encode_with_handles(&Panics(self.0)).map(drop);
        self.1.set(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic)).is_err());
        self.0.serialize(serializer)
    }
}

struct Panics<'a>(&'a Handle);

impl Serialize for Panics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        drop(self.0.serialize(serializer));
        panic!("in the middle of a message")
    }
}

#[test]
fn messages_within_messages_keep_their_descriptors_apart() {
    let (a, b) = (file("a"), file("b"));
    let value = (&a, Nested(&b, Cell::new(false)));
    let message = encode_with_handles(&value).unwrap();
    assert!(value.1.1.get());
    assert_eq!((message.fds.len(), &message.bytes[..]), (2, &[0, 1][..]));
    why(encode(&a, &mut Vec::new()));
}
