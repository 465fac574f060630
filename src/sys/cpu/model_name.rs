//! What the processor is called, from /proc/cpuinfo and the device tree.

/// Arm's numbers of those who design cores, and of cores. Enough for the boards this runs on; others
/// are given by number.
///
/// # Source
/// Linux `arch/arm64/include/asm/cputype.h`.
const ARM_CORES: [(u32, u32, &str); 27] = [
    (0x41, 0xd03, "Cortex-A53"),
    (0x41, 0xd04, "Cortex-A35"),
    (0x41, 0xd05, "Cortex-A55"),
    (0x41, 0xd07, "Cortex-A57"),
    (0x41, 0xd08, "Cortex-A72"),
    (0x41, 0xd09, "Cortex-A73"),
    (0x41, 0xd0a, "Cortex-A75"),
    (0x41, 0xd0b, "Cortex-A76"),
    (0x41, 0xd0c, "Neoverse-N1"),
    (0x41, 0xd0d, "Cortex-A77"),
    (0x41, 0xd0e, "Cortex-A76AE"),
    (0x41, 0xd40, "Neoverse-V1"),
    (0x41, 0xd41, "Cortex-A78"),
    (0x41, 0xd42, "Cortex-A78AE"),
    (0x41, 0xd44, "Cortex-X1"),
    (0x41, 0xd46, "Cortex-A510"),
    (0x41, 0xd47, "Cortex-A710"),
    (0x41, 0xd48, "Cortex-X2"),
    (0x41, 0xd49, "Neoverse-N2"),
    (0x41, 0xd4b, "Cortex-A78C"),
    (0x41, 0xd4f, "Neoverse-V2"),
    (0x41, 0xd80, "Cortex-A520"),
    (0x41, 0xd81, "Cortex-A720"),
    (0x4e, 0x003, "Denver 2"),
    (0x4e, 0x004, "Carmel"),
    (0x51, 0x804, "Kryo 4xx Gold"),
    (0x51, 0x805, "Kryo 4xx Silver"),
];

/// The processor's name: `model name` where the file has it (x86), else the kinds of Arm cores with
/// their numbers; `unknown` when it says neither.
#[must_use]
pub fn name(cpuinfo: &str) -> String {
    let value = |line: &str, key: &str| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == key).then(|| value.trim().to_owned())
    };
    if let Some(name) = cpuinfo.lines().find_map(|line| value(line, "model name")) {
        return name;
    }
    let mut kinds: Vec<(String, usize)> = Vec::new();
    let mut implementer = 0;
    for line in cpuinfo.lines() {
        if let Some(text) = value(line, "CPU implementer") {
            implementer = hexadecimal(&text);
        } else if let Some(text) = value(line, "CPU part") {
            let kind = arm_core(implementer, hexadecimal(&text));
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((kind, 1)),
            }
        }
    }
    if kinds.is_empty() {
        return "unknown".to_owned();
    }
    let kinds: Vec<String> = kinds
        .into_iter()
        .map(|(kind, count)| format!("{count} x {kind}"))
        .collect();
    kinds.join(" + ")
}

fn arm_core(implementer: u32, part: u32) -> String {
    ARM_CORES
        .iter()
        .find(|(maker, number, _)| (*maker, *number) == (implementer, part))
        .map_or_else(
            || format!("Arm core {implementer:#04x}/{part:#05x}"),
            |(_, _, name)| (*name).to_owned(),
        )
}

fn hexadecimal(text: &str) -> u32 {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(cores: &[(&str, &str)]) -> String {
        cores
            .iter()
            .map(|(implementer, part)| {
                format!(
                    "processor\t: 0\nBogoMIPS\t: 62.50\nCPU implementer\t: {implementer}\n\
                     CPU architecture: 8\nCPU part\t: {part}\n\n"
                )
            })
            .collect()
    }

    #[test]
    fn an_x86_processor_names_itself() {
        let text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nprocessor\t: 1\n";
        assert_eq!(name(text), "AMD EPYC");
    }

    #[test]
    fn arm_cores_are_told_by_kind_and_number() {
        assert_eq!(name(&arm(&[("0x41", "0xd42"); 6])), "6 x Cortex-A78AE");
        let big_little = [[("0x41", "0xd03"); 4].as_slice(), &[("0x41", "0xd08"); 2]].concat();
        assert_eq!(name(&arm(&big_little)), "4 x Cortex-A53 + 2 x Cortex-A72");
        assert_eq!(name(&arm(&[("0x61", "0x22")])), "1 x Arm core 0x61/0x022");
    }

    #[test]
    fn a_file_that_says_nothing_gives_no_name() {
        assert_eq!(name(""), "unknown");
    }
}
