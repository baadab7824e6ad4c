//! Hostile and broken streams: no fault goes unseen and none panics (rows D52 of the fault matrix).

use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::*;

const TAG: u16 = 7;

fn encode(batches: &[Vec<u64>], end: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut digest = Digest::new();
    let mut seq = 1;
    for batch in batches {
        digest.update(batch.as_bytes());
        let header = Header::new(Kind::Data, TAG, batch.len() as u32, seq, 99, digest.value());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(batch.as_bytes());
        seq += batch.len() as u64;
    }
    if end {
        bytes.extend_from_slice(Header::new(Kind::End, TAG, 0, seq, 99, digest.value()).as_bytes());
    }
    bytes
}

/// Feeds `bytes` in pieces; answers the records, whether the end was seen, and the fault if there was one.
fn decode(bytes: &[u8], piece: usize) -> (Vec<u64>, bool, Option<String>) {
    let mut buffer = FrameBuffer::new();
    let mut expected = Expected::start(TAG, 8);
    let (mut records, mut end) = (Vec::new(), false);
    for piece in bytes.chunks(piece) {
        buffer.space()[..piece.len()].copy_from_slice(piece);
        buffer.filled(piece.len());
        loop {
            match buffer.next(&mut expected) {
                Ok(Some(frame)) => {
                    end |= frame.kind == Kind::End;
                    let words = buffer.bytes(&frame.records).chunks_exact(8);
                    records.extend(words.map(|word| u64::from_ne_bytes(word.try_into().unwrap())));
                }
                Ok(None) => break,
                Err(fault) => return (records, end, Some(fault)),
            }
        }
    }
    (records, end, None)
}

fn batches() -> impl Strategy<Value = Vec<Vec<u64>>> {
    prop::collection::vec(prop::collection::vec(any::<u64>(), 0..50), 0..12)
}

proptest! {
    #[test]
    fn any_cut_of_the_bytes_gives_the_same_records(batches in batches(), piece in 1usize..5000) {
        let expected: Vec<u64> = batches.iter().flatten().copied().collect();
        prop_assert_eq!(decode(&encode(&batches, true), piece), (expected, true, None));
    }

    #[test]
    fn random_bytes_never_pass(bytes in prop::collection::vec(any::<u8>(), HEADER..4000), piece in 1usize..500) {
        let (records, end, fault) = decode(&bytes, piece);
        prop_assert!(records.is_empty() && !end && fault.is_some());
    }
}

#[test]
fn every_truncation_is_a_missing_end() {
    let bytes = encode(&(0..20).map(|n| vec![n; 3]).collect::<Vec<_>>(), true);
    for length in 0..bytes.len() {
        let (records, end, fault) = decode(&bytes[..length], 4096);
        assert!(!end && fault.is_none(), "cut at {length}");
        assert_eq!(records.len(), length / (HEADER + 24) * 3, "cut at {length}");
    }
}

#[test]
fn every_single_flipped_bit_of_twenty_frames_is_a_fault() {
    let bytes = encode(&(0..20).map(|n| vec![n; 3]).collect::<Vec<_>>(), true);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (_, end, fault) = decode(&flipped, 4096);
        assert!(fault.is_some() && !end, "bit {bit} passed");
    }
}

#[test]
fn a_huge_count_is_refused_before_anything_is_allocated() {
    let header = Header::new(Kind::Data, TAG, u32::MAX, 1, 0, 0);
    let (_, _, fault) = decode(header.as_bytes(), 4096);
    assert!(fault.unwrap().contains("size of frame"));
}

#[test]
fn a_fault_says_where_what_and_what_was_expected() {
    let mut bytes = encode(&[vec![1], vec![2]], true);
    bytes.drain(..HEADER + 8);
    let (_, _, fault) = decode(&bytes, 4096);
    assert_eq!(fault.unwrap(), "bad frame at byte 0: sequence number: expected 1, found 2");
}
