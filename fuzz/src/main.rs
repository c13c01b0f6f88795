//! Lists the targets, or writes the seeds of one into a folder:
//! what `cargo xtask fuzz` asks before it runs the engine.
#![expect(clippy::print_stdout, reason = "this is a program for the command line")]

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(name), Some(folder)) => write_seeds(&name, Path::new(&folder)),
        (Some(_), None) => Err("expected no arguments, or a target and a folder".into()),
        (None, _) => {
            for target in fuzz::TARGETS {
                println!("{}\t{}\t{}", target.name, target.longest, target.about);
            }
            Ok(())
        }
    }
}

fn write_seeds(name: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let target = fuzz::find(name).ok_or_else(|| format!("there is no target {name:?}"))?;
    fs::create_dir_all(folder)?;
    for (index, seed) in (target.seeds)().iter().enumerate() {
        fs::write(folder.join(format!("seed-{index:02}")), seed)?;
    }
    Ok(())
}
