//! What can be wrong with two bytes in a row, as a bit each, by the halves of the first and the upper half of the second.
//!
//! A pair is wrong in the ways that all three tables name. What two bytes cannot show is whether a byte of a long
//! character that has to be there is missing: bit 7, which says that two bytes of continuation meet, must be set
//! exactly where a lead byte two or three places before asks for it. (Keiser and Lemire, "Validating UTF-8 In Less Than
//! One Instruction Per Byte")

/// A lead byte, and no byte of continuation after it.
const TOO_SHORT: u8 = 1;
/// A byte of continuation after an ASCII character.
const TOO_LONG: u8 = 1 << 1;
/// E0 and less than A0: fits two bytes.
const OVERLONG_3: u8 = 1 << 2;
/// More than F4 8F.
const TOO_LARGE: u8 = 1 << 3;
/// ED and A0 or more: half of a pair of UTF-16.
const SURROGATE: u8 = 1 << 4;
/// C0 or C1: fits one byte.
const OVERLONG_2: u8 = 1 << 5;
/// F5 or more and less than 90.
const TOO_LARGE_1000: u8 = 1 << 6;
/// F0 and less than 90: fits three bytes. The bit is shared, as the lower half of the first byte tells them apart.
const OVERLONG_4: u8 = 1 << 6;
/// Two bytes of continuation.
const TWO: u8 = 1 << 7;

/// What the lower half of the first byte has no say in.
const CARRY: u8 = TOO_SHORT | TOO_LONG | TWO;
const LARGE: u8 = CARRY | TOO_LARGE | TOO_LARGE_1000;

pub(super) static FIRST_HIGH: [u8; 16] = [
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TWO,
    TWO,
    TWO,
    TWO,
    TOO_SHORT | OVERLONG_2,
    TOO_SHORT,
    TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4,
];

pub(super) static FIRST_LOW: [u8; 16] = [
    CARRY | OVERLONG_2 | OVERLONG_3 | OVERLONG_4,
    CARRY | OVERLONG_2,
    CARRY,
    CARRY,
    CARRY | TOO_LARGE,
    LARGE,
    LARGE,
    LARGE,
    LARGE,
    LARGE,
    LARGE,
    LARGE,
    LARGE,
    LARGE | SURROGATE,
    LARGE,
    LARGE,
];

pub(super) static SECOND_HIGH: [u8; 16] = [
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_LONG | OVERLONG_2 | TWO | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
    TOO_LONG | OVERLONG_2 | TWO | OVERLONG_3 | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO | SURROGATE | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO | SURROGATE | TOO_LARGE,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
];
