"""The report: figures drawn from the tables, and pages rendered from both."""


rule draw_data:
    input:
        script=JOBS.script("draw.py"),
        code=JOBS.imports("draw.py"),
        cards=JOBS.cards(),
        data=ancient(JOBS.prepared()),
        config="<results>/config.json",
    output:
        directory("<results>/figures/data"),
    log:
        f"<logs>/draw/{PLAN.config.name}/data.log",
    benchmark:
        f"<logs>/benchmarks/draw/{PLAN.config.name}/data.tsv"
    conda:
        "../envs/atlas.yaml"
    message:
        "drawing the data sets"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} data --cards {input.cards:q} --data {input.data:q} --config {input.config:q} "
        "--output {output:q}"


rule draw:
    input:
        script=JOBS.script("draw.py"),
        code=JOBS.imports("draw.py"),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
        measures=JOBS.measures(),
        document=JOBS.document,
        stated=JOBS.stated,
        references=JOBS.references,
        cards=JOBS.cards(),
    output:
        report(
            directory("<results>/figures/{study}"),
            patterns=["{exhibit}.svg", "{exhibit}.png"],
            category="Figures",
            subcategory="{study}",
            labels={"figure": "{exhibit}"},
            caption="../report/figure.rst",
        ),
    log:
        f"<logs>/draw/{PLAN.config.name}/{{study}}.log",
    benchmark:
        f"<logs>/benchmarks/draw/{PLAN.config.name}/{{study}}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        document=lambda wildcards, input: option("document", *map(os.path.dirname, input.document[:1])),
        stated=lambda wildcards, input: option("stated", *input.stated),
        form="page",
    message:
        "drawing the study {wildcards.study}"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} study --study {wildcards.study} --cells {input.cells:q} --config {input.config:q} "
        '--tables {input.tables:q} --measures "$(dirname {input.tables:q})/measures" {params.document} {params.stated} '
        "--references {input.references:q} --cards {input.cards:q} --form {params.form} --output {output:q}"


rule render:
    input:
        script=JOBS.script("render.py"),
        code=JOBS.imports("render.py"),
        templates=page_templates(),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
        chapters=JOBS.drawn,
        cards=JOBS.cards(),
    output:
        page=report("<results>/report/{page}.html", category="Pages", labels={"page": "{page}"}),
        source="<results>/report/{page}.qmd",
    log:
        f"<logs>/render/{PLAN.config.name}/{{page}}.log",
    benchmark:
        f"<logs>/benchmarks/render/{PLAN.config.name}/{{page}}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        templates=lambda wildcards, input: os.path.commonpath(input.templates),
        code=f"--code {recipe.training_code()}" if PLAN.config.adopt else "",
    message:
        "rendering the page {wildcards.page}"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} --cells {input.cells:q} --tables {input.tables:q} "
        '--figures "$(dirname {input.cells:q})/figures" --cards {input.cards:q} --config {input.config:q} '
        "--templates {params.templates:q} {params.code} --output {output.page:q}"


rule paper:
    input:
        script=JOBS.script("render.py"),
        code=JOBS.imports("render.py"),
        templates=page_templates(),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
        chapters=expand("<results>/figures/{chapter}", chapter=["data", *PLAN.asked]),
        cards=JOBS.cards(),
    output:
        "<results>/report/report.{form}",
    log:
        f"<logs>/paper/{PLAN.config.name}/{{form}}.log",
    benchmark:
        f"<logs>/benchmarks/paper/{PLAN.config.name}/{{form}}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        templates=lambda wildcards, input: os.path.commonpath(input.templates),
        code=f"--code {recipe.training_code()}" if PLAN.config.adopt else "",
    message:
        "writing the report as {wildcards.form}"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} --cells {input.cells:q} --tables {input.tables:q} "
        '--figures "$(dirname {input.cells:q})/figures" --cards {input.cards:q} --config {input.config:q} '
        "--templates {params.templates:q} {params.code} --output {output:q}"


rule pdf:
    input:
        "<results>/report/report.pdf",


rule docx:
    input:
        "<results>/report/report.docx",


rule explore:
    input:
        script=JOBS.script("explore.py"),
        code=JOBS.imports("explore.py"),
        templates=workflow_files("report/explorer.html.j2", "report/explorer.js"),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        tables="<results>/tables",
    output:
        "<results>/explorer.html",
    log:
        f"<logs>/explore/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/explore/{PLAN.config.name}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        templates=lambda wildcards, input: os.path.commonpath(input.templates),
    message:
        "writing the explorer"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} --cells {input.cells:q} --tables {input.tables:q} --config {input.config:q} "
        "--templates {params.templates:q} --output {output:q}"
