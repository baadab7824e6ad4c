//! struct: the fields of a struct go to another process, and a method of it runs there.

use ipcpipe::mp::{Process, Result};
use ipcpipe::task;
use serde::{Deserialize, Serialize};

use super::say;

/// In Python this would be a subclass of Process with fields and a method run(). Here any struct that can be serialised
/// will do, and it does not have to know of processes.
#[derive(Debug, Serialize, Deserialize)]
struct Matrix {
    rows: Vec<Vec<f64>>,
}

impl Matrix {
    fn multiply(self, other: Matrix) -> Matrix {
        say!("multiplies {} rows by {} columns", self.rows.len(), other.rows[0].len());
        let columns = 0..other.rows[0].len();
        let cell = |row: &[f64], column: usize| row.iter().zip(&other.rows).map(|(x, row)| x * row[column]).sum();
        Matrix { rows: self.rows.iter().map(|row| columns.clone().map(|column| cell(row, column)).collect()).collect() }
    }
}

pub(super) fn run() -> Result<String> {
    let one = Matrix { rows: vec![vec![1.0, 2.0], vec![3.0, 4.0]] };
    let other = Matrix { rows: vec![vec![0.0, 1.0], vec![1.0, 0.0]] };
    let process = Process::builder(task!(Matrix::multiply), (one, other)).name("Matrix-1").spawn()?;

    // The process gives a Matrix back: a result has a type as well, where Python's run() returns nothing.
    let product = process.join()?;
    say!("got {:?}", product.rows);
    Ok(format!("a product of {0} x {0} numbers computed by a method in another process", product.rows.len()))
}
