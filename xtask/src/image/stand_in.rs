//! Small files that stand for big ones in the tests of images.

use elf::abi;

/// A 64-bit program that has only headers.
pub(super) fn program(machine: u16, is_static: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    bytes.extend([0; 8]);
    bytes.extend(abi::ET_EXEC.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    // Where the program headers start, where the section headers would, flags, own size, then size and number of each.
    bytes.extend(64_u64.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    let kind = if is_static { abi::PT_LOAD } else { abi::PT_INTERP };
    bytes.extend(kind.to_le_bytes());
    bytes.extend([0; 52]);
    bytes
}
