//! Quantities against arithmetic on decimal digits, which knows no overflow and no rounding but the last one.

use config_core::value::Quantity;

use crate::{Target, lists, owned, text_of};

pub(crate) const TARGET: Target = Target {
    name: "quantity",
    longest: 32,
    about: "amounts are those of arithmetic on digits, so their order is right; \
        accepted forms are those of Kubernetes",
    seeds: || {
        owned(&[
            "1500M\n1.5Gi",
            "500m\n0.5",
            "+0012.3400e-2\n9223372036854775807",
            "1e18\n7.9Ei",
            "9223372036854775807n\n.1u",
            "1e-2147483648\n512MB",
            "0e2147483647\n1.k",
        ])
    },
    run,
};

fn run(data: &[u8]) {
    let text = text_of(data);
    let amounts: Vec<(Quantity, String)> = text
        .split('\n')
        .take(2)
        .filter_map(lists::single::<Quantity>)
        .map(|quantity| {
            let digits = nanos(quantity.as_str());
            assert_eq!(digits, quantity.nanos().to_string(), "{:?}", quantity.as_str());
            let whole = digits == "0" || digits.ends_with("000000000");
            assert_eq!(quantity.is_whole(), whole, "{:?}", quantity.as_str());
            (quantity, digits)
        })
        .collect();
    if let [(left, left_digits), (right, right_digits)] = amounts.as_slice() {
        let by_digits =
            (left_digits.len(), left_digits.as_str()).cmp(&(right_digits.len(), right_digits.as_str()));
        assert_eq!(
            left.nanos().cmp(&right.nanos()),
            by_digits,
            "{:?} and {:?}",
            left.as_str(),
            right.as_str()
        );
    }
}

/// Powers of ten, and powers of 1024.
const DECIMAL: &str = "num kMGTPE";
const BINARY: &str = "KMGTPE";

/// Computes billionths of an accepted amount, rounded up, as decimal digits without leading zeros.
fn nanos(text: &str) -> String {
    let text = text.strip_prefix('+').unwrap_or(text);
    let is_number = |character: char| character.is_ascii_digit() || character == '.';
    let number: String = text.chars().take_while(|character| is_number(*character)).collect();
    let suffix = &text[number.len()..];
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
    let mut exponent = 9 - i64::try_from(fraction.len()).expect("an input is short");
    if let Some(binary) = suffix.strip_suffix('i') {
        let thousands = BINARY.find(binary).expect("a power of 1024 is known");
        (0..=thousands).for_each(|_| times_1024(&mut digits));
    } else if suffix.len() == 1 {
        let place = DECIMAL.find(suffix).expect("a power of ten is known");
        exponent += 3 * i64::try_from(place).expect("a place is a small number") - 9;
    } else if !suffix.is_empty() {
        exponent += suffix[1..].parse::<i64>().expect("what is no suffix is an exponent");
    }
    shifted(&digits, exponent)
}

fn times_1024(digits: &mut Vec<u8>) {
    let mut carry = 0_u32;
    for digit in digits.iter_mut().rev() {
        let product = u32::from(*digit) * 1024 + carry;
        *digit = (product % 10).try_into().expect("a rest of ten is a digit");
        carry = product / 10;
    }
    while carry > 0 {
        digits.insert(0, (carry % 10).try_into().expect("a rest of ten is a digit"));
        carry /= 10;
    }
}

/// Multiplies by a power of ten and rounds up.
fn shifted(digits: &[u8], exponent: i64) -> String {
    let first = digits.iter().position(|digit| *digit != 0);
    let Some(first) = first else { return "0".to_owned() };
    let digits = &digits[first..];
    let as_text = |digits: &[u8]| digits.iter().map(|digit| char::from(digit + b'0')).collect::<String>();
    let Ok(cut) = usize::try_from(-exponent) else {
        let zeros = usize::try_from(exponent).expect("an accepted amount is below 2 to the power of 63");
        return as_text(digits) + &"0".repeat(zeros);
    };
    let kept = digits.len().saturating_sub(cut);
    let rounds_up = digits[kept..].iter().any(|digit| *digit != 0);
    let mut kept = digits[..kept].to_vec();
    if rounds_up {
        add_one(&mut kept);
    }
    as_text(&kept)
}

fn add_one(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}
