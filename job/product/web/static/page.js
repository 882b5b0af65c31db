// Without this the page works all the same: the form has a button. With it a photo is sent as soon as it is chosen, dropped or pasted.
document.documentElement.classList.add("js");

const formOf = () => document.querySelector("form.send");
const hold = (event) => event.preventDefault();

function complain(text) {
  const problem = document.querySelector("#problem");
  problem.textContent = text;
  problem.hidden = !text;
}

function send(input) {
  const form = formOf();
  const photo = input.files[0];
  if (!photo) return;
  if (photo.size > Number(form.dataset.bytes)) {
    complain(form.dataset.large);
    form.reset();
    return;
  }
  complain("");
  for (const other of form.querySelectorAll("input[type=file]")) if (other !== input) other.value = "";
  const preview = form.querySelector(".waiting img");
  preview.src = URL.createObjectURL(photo);
  preview.onerror = () => { preview.hidden = true; }; // a kind that this browser does not show
  form.classList.add("working");
  form.querySelector(".waiting").focus();
  if ("keep" in form.dataset) sendAndKeep(form, photo);
  else form.submit();
}

// Where photos can be taught, this page stays open: the photo is still here if the visitor agrees to store it. The server keeps none.
async function sendAndKeep(form, photo) {
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
    const answer = new DOMParser().parseFromString(await response.text(), "text/html");
    history.pushState(null, "", form.action);
    document.title = answer.title;
    document.body.replaceWith(document.adoptNode(answer.body));
    begin();
    keep(photo);
    scrollTo(0, 0);
    const heading = document.querySelector("h1") ?? document.querySelector("#problem");
    heading.tabIndex = -1;
    heading.focus();
  } catch {
    form.classList.remove("working");
    form.reset();
    complain(form.dataset.keep);
  }
}

function keep(photo) {
  const input = document.querySelector("#same");
  if (!input) return;
  const list = new DataTransfer();
  list.items.add(photo);
  input.files = list.files;
  input.parentElement.classList.add("kept");
}

function take(files) {
  const form = formOf();
  const photo = [...files].find((file) => file.type.startsWith("image/")) ?? files[0];
  if (!photo || form.classList.contains("working")) return;
  const list = new DataTransfer();
  list.items.add(photo);
  const input = form.querySelector("#file");
  input.files = list.files;
  send(input);
}

function begin() {
  for (const input of formOf().querySelectorAll("input[type=file]")) input.addEventListener("change", () => send(input));
}

document.addEventListener("DOMContentLoaded", begin);
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("dragover", (event) => { hold(event); formOf().classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) formOf().classList.remove("over"); });
document.addEventListener("drop", (event) => { hold(event); formOf().classList.remove("over"); take(event.dataTransfer.files); });
// Back to this page: the browser may show it as it was left.
addEventListener("pageshow", () => { formOf().classList.remove("working"); formOf().reset(); });
addEventListener("popstate", () => location.reload());
