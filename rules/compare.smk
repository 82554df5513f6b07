"""Comparing these results with others: of another machine, version or config, or of a bundle that somebody sent."""


rule compare:
    input:
        script=script("compare.py"),
        code=imports("compare.py"),
        templates=report_sources(),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
        cards=[f"data/{dataset}.json" for dataset in PLAN.datasets],
        runs=block_files("run.json"),
        other=compared_tables,
    output:
        directory("<results>/compare"),
    log:
        f"<logs>/compare/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/compare/{PLAN.config.name}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        other=compared_folder,
    message:
        "comparing with {params.other}"
    shell:
        "set -o pipefail; python {input.script:q} $(dirname {input.cells:q}) {params.other:q} --output {output:q} "
        "2>&1 | tee {log:q}"
