//! How much work a function can make for the compiler, judged before the compiler sees it.
//!
//! Compilation takes time that is quadratic in a function's loops (Cranelift 0.135: 1,000 loops take 0.4 s, 4,000
//! take 5 s), and in its locals that live across branches (4,000 across 4,000 take 13 s). It cannot be stopped once
//! it runs.

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use crate::error::Refusal;
use crate::options::LoadOptions;

/// Squares of loops that a byte of the module cap allows.
const LOOPS_PER_BYTE: u64 = 4;
/// Locals times branches that a byte of the module cap allows.
const LOCALS_PER_BYTE: u64 = 8;

/// The work of the functions seen so far.
#[derive(Default)]
pub(crate) struct Effort {
    loops: u64,
    locals: u64,
    /// A function grows the memory.
    pub(crate) grows_memory: bool,
}

impl Effort {
    /// Adds a function that has `params` parameters.
    pub(crate) fn add(&mut self, params: u64, body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        let mut locals = params;
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
        }
        let (mut loops, mut branches) = (0_u64, 0_u64);
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Loop { .. } => {
                    loops += 1;
                    branches += 1;
                }
                Operator::If { .. }
                | Operator::BrIf { .. }
                | Operator::Block { .. }
                | Operator::BrTable { .. } => {
                    branches += 1;
                }
                Operator::MemoryGrow { .. } => self.grows_memory = true,
                _ => {}
            }
        }
        self.loops = self.loops.saturating_add(loops.saturating_mul(loops));
        self.locals = self.locals.saturating_add(locals.saturating_mul(branches));
        Ok(())
    }

    /// Refuses more work than the options allow; `function` is the one added last.
    pub(crate) fn check(&self, function: u32, options: &LoadOptions) -> Result<(), Refusal> {
        let most = |per_byte: u64| per_byte.saturating_mul(options.module_cap as u64);
        let what = if self.loops > most(LOOPS_PER_BYTE) {
            "loops"
        } else if self.locals > most(LOCALS_PER_BYTE) {
            "local variables and branches"
        } else {
            return Ok(());
        };
        Err(Refusal::new(format!(
            "would take too long to compile: function {function} has too many {what}"
        ))
        .hint("split the function, build with less inlining and unrolling, or raise the module cap"))
    }
}
