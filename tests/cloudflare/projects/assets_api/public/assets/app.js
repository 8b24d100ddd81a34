console.log("links");
