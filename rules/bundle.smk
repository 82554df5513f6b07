"""Passing a study on: the figures as PNG too, and one archive of all that was told."""


use rule draw as draw_png with:
    output:
        directory("<results>/pictures/{study}"),
    log:
        f"<logs>/draw_png/{PLAN.config.name}/{{study}}.log",
    benchmark:
        f"<logs>/benchmarks/draw_png/{PLAN.config.name}/{{study}}.tsv"
    params:
        form="png",
    message:
        "drawing the study {wildcards.study} as PNG"


rule bundle:
    input:
        script=JOBS.script("bundle.py"),
        code=JOBS.imports("bundle.py"),
        about=workflow_files("CITATION.cff", "LICENSE", "Snakefile", "requirements.txt"),
        templates=workflow_files("report"),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
        pages=expand("<results>/report/{page}.html", page=JOBS.pages),
        sources=expand("<results>/report/{page}.qmd", page=JOBS.pages),
        data="<results>/figures/data",
        studies=[f"<results>/figures/{study}" for study in PLAN.asked],
        pictures=[f"<results>/pictures/{study}" for study in PLAN.asked],
        cards=JOBS.cards(),
        prepared=ancient(JOBS.prepared()),
        weights=JOBS.starts(),
        runs=JOBS.block_files("run.json"),
        snapshots=JOBS.snapshots(),
    output:
        f"<results>/{PLAN.config.name}.zip",
    log:
        f"<logs>/bundle/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/bundle/{PLAN.config.name}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        commit=lambda wildcards: commit.describe(BASE),
        snakemake=metadata.version("snakemake"),
        weights=PLAN.config.weights,
    message:
        "bundling {output}"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; '
        'python {input.script:q} --results "$(dirname {output:q})" --commit {params.commit:q} '
        "--snakemake {params.snakemake} --weights {params.weights} --output {output:q} 2>&1 | tee {log:q}"
