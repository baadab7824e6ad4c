use super::*;
use crate::mp::SharedMemory;
use crate::mp::wire::{decode_with_handles, encode_with_handles};

fn mixed() -> Vec<Item> {
    vec![().into(), true.into(), 7.into(), 0.25.into(), "seven77".into(), "eight888".into(), Item::Bytes(vec![0; 20])]
}

#[test]
fn b20_a_list_keeps_what_it_was_made_of_and_what_is_set() {
    let list = SharedList::new(mixed()).unwrap();
    assert_eq!((list.len(), list.is_empty(), list.name()), (7, false, None));
    assert_eq!(list.to_vec().unwrap(), mixed());
    list.set(0, "8 bytes!").unwrap();
    list.set(4, 1).unwrap();
    list.set(6, &b"shorter"[..]).unwrap();
    assert_eq!(list.get(0).unwrap(), "8 bytes!".into());
    assert_eq!(list.get(4).unwrap(), Item::I64(1));
    assert_eq!(list.get(6).unwrap(), Item::Bytes(b"shorter".to_vec()));
    assert_eq!(list.count(&true.into()).unwrap(), 1);
    assert_eq!(list.index(&0.25.into()).unwrap(), Some(3));
    assert_eq!(list.index(&"no".into()).unwrap(), None);
    assert_eq!(list.iter().unwrap().len(), 7);
}

#[test]
fn b20_what_is_larger_than_its_place_is_refused_and_changes_nothing() {
    let list = SharedList::new(mixed()).unwrap();
    for (index, length) in [(0, 9), (4, 9), (5, 17), (6, 25)] {
        list.set(index, "x".repeat(length - 1)).unwrap();
        assert!(matches!(list.set(index, "x".repeat(length)), Err(Error::Refused(_))), "place {index}");
        assert_eq!(list.get(index).unwrap(), "x".repeat(length - 1).into());
    }
    assert!(list.get(7).is_err());
    assert!(list.set(7, 0).is_err());
}

#[test]
fn c8_a_list_is_found_by_its_name_until_it_is_unlinked() {
    let list = SharedList::named(None, mixed()).unwrap();
    let name = list.name().unwrap();
    let found = SharedList::open(name).unwrap();
    found.set(2, 8).unwrap();
    assert_eq!(list.get(2).unwrap(), Item::I64(8));
    assert!(SharedMemory::open(name).is_err(), "it is no block of bytes");
    list.unlink().unwrap();
    assert!(SharedList::open(name).is_err());
}

#[test]
fn b20_a_list_is_sent_with_or_without_its_name() {
    for list in [SharedList::new(mixed()).unwrap(), SharedList::named(None, mixed()).unwrap()] {
        let got: SharedList = decode_with_handles(encode_with_handles(&list).unwrap()).unwrap();
        got.set(1, false).unwrap();
        assert_eq!((list.get(1).unwrap(), got.name()), (Item::Bool(false), list.name()));
    }
    let empty = SharedList::new(Vec::<Item>::new()).unwrap();
    let got: SharedList = decode_with_handles(encode_with_handles(&empty).unwrap()).unwrap();
    assert!(got.is_empty());
}

#[test]
fn b20_a_layout_that_does_not_fit_is_refused() {
    let sound = |count: u64, rooms: &[u64], size: usize| {
        let mut bytes = vec![0; size];
        for (at, word) in [count].iter().chain(rooms).enumerate() {
            bytes[8 * at..][..8].copy_from_slice(&word.to_ne_bytes());
        }
        read_layout(&bytes).is_some()
    };
    assert!(sound(0, &[], 8));
    assert!(sound(1, &[8], 32));
    for (count, rooms, size) in
        [(1, &[8][..], 31), (1, &[16], 32), (2, &[8], 32), (u64::MAX, &[], 8), (1, &[u64::MAX], 32)]
    {
        assert!(!sound(count, rooms, size), "{count} {rooms:?} {size}");
    }
}

#[test]
fn b20_a_writer_killed_in_the_middle_leaves_nothing_rather_than_a_mixture() {
    let place = Place { start: 0, room: 16 };
    let mut bytes = vec![0; 24];
    place.write(&mut bytes, &"before".into()).unwrap();
    // As far as a writer gets before he says what the bytes are.
    put_word(&mut bytes, 0, 0);
    bytes[8..16].copy_from_slice(b"half new");
    assert_eq!(place.read(&bytes), Some(Item::None));
}
